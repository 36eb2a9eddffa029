"""Pictures and texts through several models at once: pictures are decoded once, ahead of the models.

A decoding thread and its helpers work on the next batches while the models compute, so that an exam takes
little longer than the forward passes. At most three batches of pictures are in memory.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from training import shards
from training.prefetch import Prefetched
from training.teacher import Teacher

BATCH = 64


def embed_pictures(
    encoders: dict[str, Teacher], items: Iterable[tuple[bytes | None, Any]]
) -> Iterator[tuple[dict[str, np.ndarray], list, int]]:
    """Batch by batch: (vectors (rows, width) by model, what belongs to each row, number left out).

    Args:
        items: (bytes of an image file or None, what belongs to it). What cannot be decoded is left out.
    """
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decoders") as decoders:

        def prepare(batch: list) -> tuple[dict[str, Any], list, int]:
            images = decoders.map(_decode, [content for content, _ in batch])
            found = [(image, own) for image, (_, own) in zip(images, batch, strict=True) if image]
            shown = [image for image, _ in found]
            ready = {name: encoder.prepare_images(shown) for name, encoder in encoders.items() if shown}
            return ready, [own for _, own in found], len(batch) - len(found)

        for _, (ready, kept, num_left_out) in Prefetched(prepare, batches(items)):
            vectors = {name: encoders[name].embed_prepared(prepared) for name, prepared in ready.items()}
            yield vectors, kept, num_left_out


def _decode(content: bytes | None):
    return None if content is None else shards.decode_or_none(content)


def embed_texts(encoder: Teacher, texts: list[str]) -> np.ndarray:
    """Unit vectors (texts, width), computed in batches of like length: a batch is padded to its longest."""
    vectors = np.zeros((len(texts), encoder.width), np.float32)
    for rows in batches(sorted(range(len(texts)), key=lambda number: len(texts[number].encode()))):
        vectors[rows] = encoder.embed_texts([texts[row] for row in rows])
    return vectors


def batches(items: Iterable, size: int = BATCH) -> Iterator[list]:
    """The items in lists of `size`, the last one shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
