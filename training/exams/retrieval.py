"""Recall at k of images and texts that belong together: exact, and never the whole matrix in memory.

A query counts at k when one of its own is among its k best (as in CLIP, arXiv 2103.00020, clip_benchmark):
when fewer than k of the others score at least as high as the best of its own. So a tie counts against it.
An image may have several texts and a text several images (MUGE). What has no partner is no query, but
stands among the candidates.

Scores are float32 products of blocks, each of which serves both directions. Of the matrix of all scores no
more than one block is there at a time; a block that holds pairs is computed twice, bit for bit the same.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from infra.console import track

KS = (1, 5, 10)
# More are not counted.
LIMIT = max(KS)
BLOCK = 4_096


def recalls(
    images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, step: str = "", block: int = BLOCK
) -> dict:
    """`text_to_image` and `image_to_text` with r1, r5 and r10 each, and their mean, `mean_recall`.

    Args:
        images: unit vectors (images, width).
        texts: unit vectors (texts, width).
        pairs: which belong together, rows of (image number, text number), none twice.
        step: who waits for it; there is a progress line for them.
        block: images, and texts, that are compared at once; the memory is about 6 bytes times its square.

    Raises:
        ValueError: there are no pairs, or one names what is not there.
    """
    num_better = count_better(images, texts, pairs, step, block)
    found = {}
    for name, column, counts in zip(("image_to_text", "text_to_image"), (0, 1), num_better, strict=True):
        own = counts[np.unique(pairs[:, column])]
        found[name] = {f"r{k}": float((own < k).mean()) for k in KS}
    means = [recall for direction in found.values() for recall in direction.values()]
    return {**found, "mean_recall": sum(means) / len(means)}


@torch.inference_mode()
def count_better(
    images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, step: str = "", block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """For each image, and for each text, how many of the others' score at least as high as its best own.

    Counts of LIMIT and more mean no more than that; so they do where there is no own. Arguments and errors as
    `recalls`.
    """
    _check(images, texts, pairs)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    blocks = Blocks(images, texts, pairs, block, device)
    best = [torch.full((len(rows),), -torch.inf, device=device) for rows in (images, texts)]
    for rows, columns, scores, own in blocks.with_pairs():
        for side, at, place in ((0, rows, own[0]), (1, columns, own[1])):
            best[side][at].scatter_reduce_(0, place, scores[own[0], own[1]], "amax")
    counts = [torch.zeros(len(rows), dtype=torch.int64, device=device) for rows in (images, texts)]
    with track(step, total=len(images) * len(texts), desc="pairs compared", disable=not step) as bar:
        for rows, columns, scores, own in blocks.all():
            # Below everything: a query's own never stand in its way.
            scores[own[0], own[1]] = -torch.inf
            _count(scores, best[0][rows], counts[0][rows])
            _count(scores.T, best[1][columns], counts[1][columns])
            bar.update(scores.numel())
    for side in (0, 1):
        # No score to compare with: nothing was found.
        counts[side][~best[side].isfinite()] = LIMIT
    return counts[0].cpu().numpy(), counts[1].cpu().numpy()


def _count(scores: Tensor, best: Tensor, counts: Tensor) -> None:
    """Add to `counts` in place how many scores of a row are not below its best, until LIMIT are known.

    Only rows whose highest score is not below are gone through: each of them adds at least one, so that no
    query is gone through more than LIMIT times, however many candidates there are.
    """
    open_rows = (~(scores.amax(dim=1) < best) & (counts < LIMIT)).nonzero()[:, 0]
    if len(open_rows):
        counts[open_rows] += (~(scores[open_rows] < best[open_rows, None])).sum(dim=1)


class Blocks:
    """The matrix of scores, image by text, in blocks: (rows, columns, scores, places of pairs within)."""

    def __init__(self, images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, size: int, device: str):
        self.images, self.texts, self.size, self.device = images, texts, size, device
        self.shape = (-(-len(images) // size), -(-len(texts) // size))
        home = pairs[:, 0] // size * self.shape[1] + pairs[:, 1] // size
        order = np.argsort(home, kind="stable")
        self.pairs, self.home = pairs[order], home[order]

    def with_pairs(self) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """The blocks that hold pairs."""
        yield from self._blocks(sorted(set(self.home.tolist())))

    def all(self) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """Every block."""
        yield from self._blocks(range(self.shape[0] * self.shape[1]))

    def _blocks(self, numbers) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        row, images = -1, torch.empty(0)
        for number in numbers:
            if number // self.shape[1] != row:
                row = number // self.shape[1]
                images = self._rows(self.images, row)
            column = number % self.shape[1]
            scores = images @ self._rows(self.texts, column).T
            yield self._span(row), self._span(column), scores, self._pairs_in(number, row, column)

    def _rows(self, vectors: np.ndarray, number: int) -> Tensor:
        part = np.ascontiguousarray(vectors[self._span(number)], np.float32)
        return torch.from_numpy(part).to(self.device)

    def _span(self, number: int) -> slice:
        return slice(number * self.size, (number + 1) * self.size)

    def _pairs_in(self, number: int, row: int, column: int) -> Tensor:
        """Places (2, pairs) within a block."""
        start, stop = np.searchsorted(self.home, [number, number + 1])
        own = self.pairs[start:stop] - np.array([[row, column]]) * self.size
        return torch.from_numpy(np.ascontiguousarray(own.T)).to(self.device)


def _check(images: np.ndarray, texts: np.ndarray, pairs: np.ndarray) -> None:
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"pairs {pairs.shape} should be rows of (image, text), at least one")
    if pairs.min() < 0 or (pairs.max(axis=0) >= (len(images), len(texts))).any():
        raise ValueError(f"a pair names what is not there: {len(images)} images, {len(texts)} texts")
