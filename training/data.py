"""What a step is made of: stored rows as tensors, random views and augmentation, tokens, anchors.

Whatever is drawn depends on the seed and the step alone, so that a resumed run sees what an uninterrupted
one would.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training import shards
from training.embedded import Pair, Text
from training.selection import LANGUAGES


@dataclass(frozen=True)
class Pairs:
    """Some pairs: captions, empty where there is none, and stored vectors (n, width) of both sides.

    `images` are uint8 (n, 3, side, side), None where no tower looks at them.
    """

    images: Tensor | None
    captions: dict[str, list[str]]
    image_vectors: Tensor
    text_vectors: dict[str, Tensor]
    has: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.image_vectors)


def collate(rows: list[Pair], views: list[int], width: int, images: Tensor | None = None) -> Pairs:
    """Stored pairs as tensors, each with the vector of its view, 0 for the plain picture."""
    size, nothing = 2 * width, bytes(2 * width)
    shown = [row.image_vectors[view * size :][:size] for row, view in zip(rows, views, strict=True)]
    return Pairs(
        images,
        {lang: [row.captions.get(lang, "") for row in rows] for lang in LANGUAGES},
        vectors_of(shown, width),
        {
            lang: vectors_of([row.text_vectors.get(lang, nothing) for row in rows], width)
            for lang in LANGUAGES
        },
        {lang: torch.tensor([float(bool(row.captions.get(lang))) for row in rows]) for lang in LANGUAGES},
    )


def vectors_of(stored: list[bytes], width: int) -> Tensor:
    """Stored vectors as float32 (n, width)."""
    return torch.from_numpy(shards.from_bf16(b"".join(stored), width))


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


def caption_tokens(tokenizer: PreTrainedTokenizerFast, captions: list[str]) -> dict[str, Tensor]:
    """As `tokenize`, and by `there` which rows have a caption: the others need not be read."""
    return {**tokenize(tokenizer, captions), "there": torch.tensor([bool(text) for text in captions])}


def pair_batch(pairs: Pairs, tokenizer: PreTrainedTokenizerFast, towers: tuple[str, ...]) -> dict:
    """What a step on pairs needs: stored vectors, and input for the towers that learn."""
    batch: dict = {"image_vector": pairs.image_vectors}
    for lang in LANGUAGES:
        batch[f"{lang}_vector"] = pairs.text_vectors[lang]
        batch[f"has_{lang}"] = pairs.has[lang]
        if "text" in towers:
            batch[f"{lang}_tokens"] = caption_tokens(tokenizer, pairs.captions[lang])
    if "image" in towers:
        batch["pixels"] = pairs.images.float() / 127.5 - 1
    return batch


def draw_anchors(rows: list[Pair], num_anchors: int, width: int, generator: torch.Generator) -> Tensor:
    """The teacher's vectors of captions in both languages, (at most num_anchors, width), drawn at random."""
    found = []
    for number in torch.randperm(len(rows) * len(LANGUAGES), generator=generator).tolist():
        if len(found) == num_anchors:
            break
        row, lang = divmod(number, len(LANGUAGES))
        if vector := rows[row].text_vectors.get(LANGUAGES[lang]):
            found.append(vector)
    return vectors_of(found, width)


def text_batch(rows: list[Text], tokenizer: PreTrainedTokenizerFast, width: int) -> dict:
    """What a step on text alone needs."""
    tokens = tokenize(tokenizer, [row.text for row in rows])
    return {"text_vector": vectors_of([row.vector for row in rows], width), "text_tokens": tokens}
