"""Shards: tars of samples, read whole or written whole.

A raw shard (img2dataset's) holds an image and its json a sample. An embedded shard adds the teacher's
vectors as raw bfloat16, `image.bf16` (one row a stored augmentation) and `zh.bf16`, `en.bf16` where that
caption is.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import webdataset
from PIL import Image

IMAGE_TYPES = ("jpg", "png", "webp")
# A picture from a stranger is never decoded beyond this many pixels.
Image.MAX_IMAGE_PIXELS = 64_000_000


def read_shard(path: Path) -> Iterator[dict]:
    """Samples as dicts of bytes, with their key under `__key__`."""
    # Who reads which shard is the caller's choice, so webdataset's own division among workers is off.
    yield from webdataset.WebDataset(
        [str(path)], shardshuffle=False, empty_check=False, nodesplitter=list, workersplitter=list
    )


def image_of(sample: dict) -> Image.Image:
    """The sample's picture, RGB.

    Raises:
        KeyError: the sample has none.
        Image.DecompressionBombError: it has more pixels than `Image.MAX_IMAGE_PIXELS`.
    """
    name = next((name for name in IMAGE_TYPES if name in sample), None)
    if name is None:
        raise KeyError(f"sample {sample.get('__key__')} has no image")
    picture = Image.open(io.BytesIO(sample[name]))
    # Pillow itself refuses only from twice the limit on.
    if picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError(f"{picture.width} x {picture.height} pixels are too many")
    return picture.convert("RGB")


def record_of(sample: dict) -> dict:
    """The sample's json."""
    return json.loads(sample["json"])


def json_bytes(record: dict) -> bytes:
    """A record as the shard keeps it."""
    return json.dumps(record, ensure_ascii=False).encode()


def to_bf16(vectors: np.ndarray) -> bytes:
    """Float32 as bfloat16 bytes, half the size; the order of magnitude stays (MobileCLIP stores so)."""
    return torch.from_numpy(np.ascontiguousarray(vectors)).bfloat16().view(torch.uint16).numpy().tobytes()


def from_bf16(content: bytes, width: int) -> np.ndarray:
    """Float32 of shape (rows, width)."""
    raw = torch.from_numpy(np.frombuffer(content, np.uint16).copy())
    return raw.view(torch.bfloat16).float().numpy().reshape(-1, width)


def write_shard(path: Path, samples: Iterable[dict]) -> None:
    """Write samples of bytes; the file appears under its name only when it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tarfile.open(partial, "w") as tar:
            for sample in samples:
                _add_sample(tar, sample)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _add_sample(tar: tarfile.TarFile, sample: dict) -> None:
    for name, content in sample.items():
        if not name.startswith("__"):
            member = tarfile.TarInfo(f"{sample['__key__']}.{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
