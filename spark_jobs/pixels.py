"""Rules that open the image: tiny files, blank and near-uniform pictures, and those that cannot be read.

The rows of a shard are judged together, so that its tar is read once, from front to back; a picture whose row
is dropped already is passed over. Runs in Python through Arrow, and not at all when its thresholds are 0.

Left out on purpose: sharpness. Its usual measure depends on the size at which a picture is stored.
"""

import tarfile
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from infra.storage import AnyPath
from spark_jobs.limits import ImageLimits

IMAGE_TYPES = ("jpg", "png", "webp")
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_STORED_BYTES = 64_000_000
MAX_PIXELS = 64_000_000
UNREADABLE = "unreadable_image"
# (reason, what was measured); no reason for a good picture.
Verdict = tuple[str | None, str | None]


def opens_images(limits: ImageLimits) -> bool:
    """Whether any of the thresholds needs the picture."""
    return bool(limits.min_bytes or limits.min_sigma or limits.min_entropy)


def mark_pixels(rows: DataFrame, shards: AnyPath, limits: ImageLimits) -> DataFrame:
    """Gives rows that have no `reason` one if their picture calls for it, and says why in `error_message`.

    The rows of a shard must be in one partition, sorted by shard.
    """

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from (_judge_batch(batch, shards, limits) for batch in whole_shards(batches))

    return rows.mapInArrow(judge, rows.schema)


def whole_shards(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that no shard is divided between: a shard in two of them was read twice.

    Retries leave shards of unequal numbers of rows; those of a batch then end anywhere in a shard.
    """
    held: list[pa.RecordBatch] = []
    for batch in filter(len, batches):
        last = batch["shard"][-1].as_py()
        start = pc.index(batch["shard"], last).as_py()
        if start or (held and held[-1]["shard"][-1].as_py() != last):
            whole = [*held, batch.slice(0, start)]
            held = [batch.slice(start)]
            yield pa.concat_batches(whole)
        else:
            held.append(batch)
    if held:
        yield pa.concat_batches(held)


def _judge_batch(batch: pa.RecordBatch, shards: AnyPath, limits: ImageLimits) -> pa.RecordBatch:
    columns = {name: batch[name].to_pylist() for name in ("key", "shard", "reason", "error_message")}
    wanted: dict[str, set[str]] = {}
    for key, shard, reason in zip(columns["key"], columns["shard"], columns["reason"], strict=True):
        if reason is None:
            wanted.setdefault(shard, set()).add(key)
    verdicts = {}
    for shard, keys in wanted.items():
        verdicts |= judge_shard(shards / f"{shard}.tar", keys, limits)
    for place, key in enumerate(columns["key"]):
        if columns["reason"][place] is None:
            columns["reason"][place], columns["error_message"][place] = verdicts[key]
    for name in ("reason", "error_message"):
        index = batch.schema.get_field_index(name)
        batch = batch.set_column(index, name, pa.array(columns[name], batch.schema.field(index).type))
    return batch


def judge_shard(path: AnyPath, keys: set[str], limits: ImageLimits) -> dict[str, Verdict]:
    """A verdict for each of the keys; what a broken tar does not give is unreadable.

    Raises:
        OSError: the shard is not there or its disk or network failed, which is no fault of the images: the
            task fails and Spark tries it again.
    """
    verdicts: dict[str, Verdict] = {}
    missing = "not in its shard"
    try:
        for key, body in read_pictures(path, keys):
            verdicts[key] = judge_picture(body, limits)
    except tarfile.TarError as error:
        missing = f"its shard is broken: {error}"
    return {key: verdicts.get(key, (UNREADABLE, missing)) for key in keys}


def read_pictures(path: AnyPath, keys: set[str]) -> Iterator[tuple[str, bytes]]:
    """(key, file) of the wanted pictures in a tar.

    Raises:
        tarfile.TarError: the tar is broken, after the pictures before the break.
    """
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            is_picture = extension in IMAGE_TYPES and member.isfile() and member.size <= MAX_STORED_BYTES
            if is_picture and key in keys:
                yield key, tar.extractfile(member).read()


def judge_picture(body: bytes, limits: ImageLimits) -> Verdict:
    """The reason to drop a picture file, and the figure that gave it."""
    if len(body) < limits.min_bytes:
        return "image_too_few_bytes", f"{len(body)} bytes"
    try:
        grey = read_grey(body)
    except Exception as error:  # Whatever a decoder may raise on a file that a stranger made.
        return UNREADABLE, f"{type(error).__name__}: {str(error)[:200]}"
    if (sigma := float(grey.std())) < limits.min_sigma:
        return "image_blank", f"sigma {sigma:.2f}"
    if (entropy := entropy_of(grey)) < limits.min_entropy:
        return "image_low_entropy", f"entropy {entropy:.2f}"
    return None, None


def read_grey(body: bytes) -> np.ndarray:
    """The picture's grey values, 0 to 255.

    Raises:
        ValueError: it cannot be decoded, or has more than `MAX_PIXELS`.
    """
    from PIL import Image

    from infra.decode import decode

    try:
        return np.asarray(decode(body, max_pixels=MAX_PIXELS, formats=FORMATS).convert("L"))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def entropy_of(grey: np.ndarray) -> float:
    """Entropy of the histogram of grey values, in bits."""
    shares = np.bincount(grey.ravel(), minlength=256) / grey.size
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
