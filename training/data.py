"""What training reads: a worker's share of the embedded shards, decoded once and held in memory.

Rows, and the view of each, are drawn in an order that depends on the seed and the step alone, so that a
resumed run sees what an uninterrupted one would.

Left out on purpose: streaming. A worker's share, at the student's image size, must fit its memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training import shards
from training.views import from_record, show

LANGUAGES = ("zh", "en")
WINDOW = 8


@dataclass(frozen=True)
class Pairs:
    """A share of the pairs: images, captions, and stored vectors of both.

    Of each image there are the plain picture and its stored views: uint8 `images` (n, views, 3, side, side)
    with `image_vectors` (n, views, width). `text_vectors` are (n, width). The pictures of `num_unreadable`
    selected pairs could not be decoded.
    """

    images: Tensor
    captions: dict[str, list[str]]
    image_vectors: Tensor
    text_vectors: dict[str, Tensor]
    has: dict[str, Tensor]
    num_unreadable: int = 0

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Texts:
    """A share of the texts: captions and text without images, with the teacher's vectors (n, width)."""

    texts: list[str]
    vectors: Tensor
    num_captions: int

    def __len__(self) -> int:
        return len(self.texts)


def read_selection(folder: Path) -> dict[str, set[str]]:
    """Selected keys and the languages of theirs to use, from select_pairs."""
    columns = ["key", *(f"use_{lang}" for lang in LANGUAGES)]
    rows = pq.read_table(folder / "selected.parquet", columns=columns).to_pylist()
    return {row["key"]: {lang for lang in LANGUAGES if row[f"use_{lang}"]} for row in rows}


def selected_samples(folder: Path, selection: dict[str, set[str]], rank: int, world: int) -> Iterator[dict]:
    """Every `world`-th selected sample of the embedded shards, in order, beginning with number `rank`."""
    number = 0
    for path in sorted((folder / "shards").glob("*.tar")):
        for sample in shards.read_unbroken(path):
            if sample["__key__"] in selection:
                if number % world == rank:
                    yield sample
                number += 1


def read_pairs(
    folder: Path, selection: dict[str, set[str]], side: int, width: int, rank: int = 0, world: int = 1
) -> Pairs:
    """A worker's share of the selected pairs, images resized to the student's side."""
    images, image_vectors, num_unreadable = [], [], 0
    captions: dict[str, list[str]] = {lang: [] for lang in LANGUAGES}
    vectors: dict[str, list[np.ndarray]] = {lang: [] for lang in LANGUAGES}
    for sample in selected_samples(folder, selection, rank, world):
        image = shards.image_or_none(sample)
        if image is None:
            num_unreadable += 1
            continue
        record, used = shards.record_of(sample), selection[sample["__key__"]]
        views = [show(image, view) for view in from_record(record.get("views", []))]
        images.append(torch.stack([pixels_of(look, side) for look in (image, *views)]))
        image_vectors.append(shards.from_bf16(sample["image.bf16"], width))
        for lang in LANGUAGES:
            captions[lang].append(record[lang] if lang in used else "")
            there = shards.from_bf16(sample[f"{lang}.bf16"], width)[0] if lang in used else np.zeros(width)
            vectors[lang].append(there)
    return Pairs(
        torch.stack(images),
        captions,
        torch.from_numpy(np.stack(image_vectors)),
        {lang: torch.from_numpy(np.stack(rows).astype(np.float32)) for lang, rows in vectors.items()},
        {lang: torch.tensor([float(bool(text)) for text in captions[lang]]) for lang in LANGUAGES},
        num_unreadable,
    )


def pixels_of(image, side: int) -> Tensor:
    """uint8 (3, side, side), resized as the student's image processor resizes."""
    resized = image.resize((side, side), shards.Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()


def read_texts(folder: Path, pairs: Pairs, width: int, rank: int = 0, world: int = 1) -> Texts:
    """A worker's share of the texts without images, and the captions of its pairs."""
    texts: list[str] = []
    vectors: list[Tensor] = []
    for path in sorted((folder / "texts").glob("*.parquet")):
        table = pq.read_table(path, columns=["text", "vector"]).to_pylist()[rank::world]
        texts += [row["text"] for row in table]
        vectors += [torch.from_numpy(shards.from_bf16(row["vector"], width)) for row in table]
    num_without_image = len(texts)
    for lang in LANGUAGES:
        there = [number for number, text in enumerate(pairs.captions[lang]) if text]
        texts += [pairs.captions[lang][number] for number in there]
        vectors.append(pairs.text_vectors[lang][there])
    return Texts(texts, torch.cat(vectors), len(texts) - num_without_image)


def known_vectors(folder: Path, width: int) -> dict[str, np.ndarray]:
    """The teacher's vectors of all texts without images, by lower-case text."""
    known = {}
    for path in sorted((folder / "texts").glob("*.parquet")):
        for row in pq.read_table(path, columns=["text", "vector"]).to_pylist():
            known[row["text"].lower()] = shards.from_bf16(row["vector"], width)[0]
    return known


def training_texts(folder: Path, selection: dict[str, set[str]]) -> Iterator[str]:
    """What the tokenizer learns from: the selected captions, then the texts without images."""
    for sample in selected_samples(folder, selection, 0, 1):
        record = shards.record_of(sample)
        yield from (record[lang] for lang in selection[sample["__key__"]])
    for path in sorted((folder / "texts").glob("*.parquet")):
        yield from pq.read_table(path, columns=["text"])["text"].to_pylist()


def rows_of_step(num_rows: int, batch_size: int, step: int, seed: int) -> Tensor:
    """The rows of a step: shuffled epochs, cut into batches that may span two epochs."""
    first = step * batch_size
    epochs = range(first // num_rows, (first + batch_size - 1) // num_rows + 1)
    orders = [
        torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        for epoch in epochs
    ]
    start = first - epochs[0] * num_rows
    return torch.cat(orders)[start : start + batch_size]


def text_rows_of_step(texts: Texts, caption_share: float, batch_size: int, step: int, seed: int) -> Tensor:
    """The rows of a step on texts: drawn with `caption_share` captions, of like length in one batch.

    Eight steps are drawn together and sorted by length, so that a batch has little padding.
    """
    window, place = divmod(step, WINDOW)
    chance = torch.Generator().manual_seed(seed * 1_000_003 + window)
    num_others, num_drawn = len(texts) - texts.num_captions, WINDOW * batch_size
    captions = num_others + torch.randint(max(1, texts.num_captions), (num_drawn,), generator=chance)
    others = torch.randint(max(1, num_others), (num_drawn,), generator=chance)
    share = caption_share if num_others and texts.num_captions else float(num_others == 0)
    rows = torch.where(torch.rand(num_drawn, generator=chance) < share, captions, others)
    lengths = torch.tensor([float(len(texts.texts[row].encode())) for row in rows])
    order = (lengths + torch.rand(len(rows), generator=chance)).argsort().view(WINDOW, batch_size)
    return rows[order[torch.randperm(WINDOW, generator=chance)[place]]]


def views_of_step(num_views: int, num_rows: int, step: int, seed: int) -> Tensor:
    """Which view of each row a step takes, 0 for the plain picture; all are as likely."""
    # A stream of its own: whatever else a step draws does not depend on the number of views.
    chance = torch.Generator().manual_seed((seed * 1_000_003 + step) ^ 0x5EED)
    return torch.randint(num_views, (num_rows,), generator=chance)


def augment(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random shift and scale of float images (n, 3, side, side) in [-1, 1], white where nothing was.

    `strength` 0.1 shifts by up to a tenth of the side and scales by up to a tenth.
    """
    if not strength:
        return images
    scale = 1 + strength * (2 * torch.rand(len(images), generator=generator) - 1)
    shift = strength * 2 * (2 * torch.rand(len(images), 2, generator=generator) - 1)
    moves = torch.zeros(len(images), 2, 3)
    moves[:, 0, 0] = moves[:, 1, 1] = scale
    moves[:, :, 2] = shift
    grid = torch.nn.functional.affine_grid(moves, list(images.shape), align_corners=False)
    # grid_sample fills with zeros, so white is moved to zero and back.
    return torch.nn.functional.grid_sample(images - 1, grid, align_corners=False) + 1


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, padded to the longest."""
    return dict(tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))


def pair_batch(
    pairs: Pairs,
    rows: Tensor,
    tokenizer: PreTrainedTokenizerFast,
    towers: tuple[str, ...],
    views: Tensor | None = None,
) -> dict:
    """What a step on pairs needs: stored vectors, and input for the towers that learn.

    `views` names the view of each row, with its own vector; None is the plain picture everywhere.
    """
    views = torch.zeros_like(rows) if views is None else views
    batch = {"image_vector": pairs.image_vectors[rows, views]}
    for lang in LANGUAGES:
        batch[f"{lang}_vector"] = pairs.text_vectors[lang][rows]
        batch[f"has_{lang}"] = pairs.has[lang][rows]
        if "text" in towers:
            batch[f"{lang}_tokens"] = tokenize(tokenizer, [pairs.captions[lang][row] for row in rows])
    if "image" in towers:
        batch["pixels"] = pairs.images[rows, views].float() / 127.5 - 1
    return batch


def draw_anchors(pairs: Pairs, num_anchors: int, generator: torch.Generator) -> Tensor:
    """The teacher's vectors of captions in both languages, (at most num_anchors, width), drawn at random."""
    vectors = torch.cat([pairs.text_vectors[lang][pairs.has[lang] > 0] for lang in LANGUAGES])
    return vectors[torch.randperm(len(vectors), generator=generator)[:num_anchors]]


def text_batch(texts: Texts, rows: Tensor, tokenizer: PreTrainedTokenizerFast) -> dict:
    """What a step on text alone needs."""
    tokens = tokenize(tokenizer, [texts.texts[row] for row in rows])
    return {"text_vector": texts.vectors[rows], "text_tokens": tokens}
