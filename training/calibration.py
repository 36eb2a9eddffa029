"""Pictures to calibrate int8 on: some of the pairs that were kept, a few from each of a few shards."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL.Image import Image

from infra.storage import AnyPath
from training import shards
from training.student import Student


def calibration_pixels(paths: list[AnyPath], student: Student, num: int) -> np.ndarray:
    """At most `num` pictures of these shards as the image tower takes them, (n, 3, side, side).

    What cannot be decoded is passed over; n is 0 where there is nothing.
    """
    share = -(-num // max(1, len(paths)))
    found = [picture for path in paths for picture in islice(_pictures(path, share), share)]
    if not found:
        side = student.image_processor.size["height"]
        return np.zeros((0, 3, side, side), np.float32)
    return student.image_processor(found[:num], return_tensors="np")["pixel_values"]


def _pictures(path: AnyPath, num: int) -> Iterator[Image]:
    """Pictures spread over a shard, by the order of their keys: that of a tar differs from crawl to crawl."""
    keys = sorted(sample["__key__"] for sample in shards.read_unbroken(path, wanted=_is_record))
    chosen = keys[:: max(1, len(keys) // num)]
    wanted = set(chosen)
    samples = shards.read_unbroken(path, wanted=lambda name: shards.key_of(name) in wanted)
    found = {sample["__key__"]: shards.image_or_none(sample) for sample in samples}
    yield from (found[key] for key in chosen if found.get(key) is not None)


def _is_record(name: str) -> bool:
    return name.endswith(".json")
