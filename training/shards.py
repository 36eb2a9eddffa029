"""Shards: tars of samples, read whole or written whole.

A raw shard (img2dataset's) holds an image and its json a sample. An embedded shard adds the teacher's
vectors as raw bfloat16, `image.bf16` (one row a stored augmentation) and `zh.bf16`, `en.bf16` where that
caption is.
"""

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from ml_dtypes import bfloat16
from PIL import Image

from infra import decode as decoding
from infra import store
from infra.lean_import import without
from infra.storage import AnyPath, appearing

# Spark's jobs read shards and need no torch, which webdataset imports for its loaders.
with without("torch"):
    from webdataset.handlers import ignore_and_continue
    from webdataset.tariterators import base_plus_ext, group_by_keys


IMAGE_TYPES = ("jpg", "png", "webp")
# A picture from a stranger is never decoded beyond this many pixels.
Image.MAX_IMAGE_PIXELS = 64_000_000
# Nor is a member of a tar beyond this size ever read.
MAX_MEMBER_BYTES = 64 * 2**20


def read_shard(path: AnyPath, wanted: Callable[[str], bool] = bool) -> Iterator[dict]:
    """Samples as dicts of bytes, with their key under `__key__`; members that are too large are left out.

    Of members whose name is not `wanted` the bytes are passed over.

    Raises:
        tarfile.ReadError: the tar is broken, after the samples before the break.
    """
    yield from group_by_keys(_members(path, wanted), handler=ignore_and_continue)


def _members(path: AnyPath, wanted: Callable[[str], bool]) -> Iterator[dict]:
    # Plain tars only: a compressed one can swell without end.
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            if member.isreg() and member.size <= MAX_MEMBER_BYTES and wanted(member.name):
                content = tar.extractfile(member).read()
                yield {"fname": member.name, "data": content, "__url__": str(path)}


def read_unbroken(path: AnyPath, wanted: Callable[[str], bool] = bool) -> Iterator[dict]:
    """As `read_shard`, up to where the tar is broken, if it is."""
    with contextlib.suppress(tarfile.ReadError):
        yield from read_shard(path, wanted)


def key_of(name: str) -> str | None:
    """The key of the sample that a member of this name belongs to."""
    return base_plus_ext(name)[0]


def image_of(sample: dict) -> Image.Image:
    """The sample's picture, RGB.

    Raises:
        KeyError: the sample has none.
        Image.DecompressionBombError: it has more pixels than `Image.MAX_IMAGE_PIXELS`.
    """
    name = next((name for name in IMAGE_TYPES if name in sample), None)
    if name is None:
        raise KeyError(f"sample {sample.get('__key__')} has no image")
    return decode(sample[name])


def decode(content: bytes) -> Image.Image:
    """An image file's picture, RGB, as all of the project decodes it (infra/decode.py).

    Raises:
        Unreadable: it cannot be decoded.
        Image.DecompressionBombError: it has more pixels than `Image.MAX_IMAGE_PIXELS`.
    """
    return decoding.decode(content, max_pixels=Image.MAX_IMAGE_PIXELS)


def image_or_none(sample: dict) -> Image.Image | None:
    """The sample's picture, None where it has none that can be decoded."""
    name = next((name for name in IMAGE_TYPES if name in sample), None)
    return decode_or_none(sample[name]) if name else None


def decode_or_none(content: bytes) -> Image.Image | None:
    """An image file's picture, None where it cannot be decoded."""
    try:
        return decode(content)
    # Decoders raise errors of almost every kind on broken input.
    except Exception:
        return None


def record_of(sample: dict) -> dict:
    """The sample's json."""
    return json.loads(sample["json"])


def json_bytes(record: dict) -> bytes:
    """A record as the shard keeps it."""
    return store.json_bytes(record)


def to_bf16(vectors: np.ndarray) -> bytes:
    """Float32 as bfloat16 bytes, half the size; the order of magnitude stays (MobileCLIP stores so)."""
    return np.ascontiguousarray(vectors).astype(bfloat16).tobytes()


def from_bf16(content: bytes, width: int) -> np.ndarray:
    """Float32 of shape (rows, width)."""
    return np.frombuffer(content, bfloat16).astype(np.float32).reshape(-1, width)


@contextlib.contextmanager
def open_shard(path: AnyPath) -> Iterator[Callable[[dict], None]]:
    """A function that adds a sample of bytes; the file appears under its name only when it is whole."""
    with appearing(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
        yield lambda sample: _add_sample(tar, sample)


def write_shard(path: AnyPath, samples: Iterable[dict]) -> None:
    """Write samples of bytes as a shard."""
    with open_shard(path) as add:
        for sample in samples:
            add(sample)


def _add_sample(tar: tarfile.TarFile, sample: dict) -> None:
    for name, content in sample.items():
        if not name.startswith("__"):
            member = tarfile.TarInfo(f"{sample['__key__']}.{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
