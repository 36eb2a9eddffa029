"""Large JPEGs are decoded at a half, a quarter or an eighth of their size when that is more than is kept.

Resizing is what bounds a crawl: a picture of 1440 by 1080 takes img2dataset 13 ms to decode and to average
down to 341 by 256, and 6 ms from a quarter, which the decoder makes out of the same coefficients. The two
results differ by 36 to 39 dB where there is detail at all scales. The longer
side may be a pixel off. Everything else stays img2dataset's.
"""

import dataclasses
import io
from typing import Any

import cv2
import numpy as np
from img2dataset.resizer import Resizer, SuppressStdoutStderr

from components.picture_header import JPEG, read_size

FLAGS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


@dataclasses.dataclass(frozen=True)
class ReducingResizer:
    """img2dataset's, in front of which large JPEGs are made smaller."""

    resizer: Resizer

    def __call__(self, stream: io.BytesIO, boxes: Any = None) -> tuple:
        """(file, width, height, width before, height before, None), or five None and why it failed."""
        body = stream.getvalue()
        size = read_size(body) if body.startswith(JPEG) else None
        factor = next((item for item in FLAGS if size and min(size) // item > self.resizer.image_size), None)
        reduced = decode_reduced(body, factor) if factor else None
        if reduced is None:
            return self.resizer(stream, boxes)
        file, *kept, _, _, failure = self.resizer(io.BytesIO(reduced), boxes)
        return file, *kept, *size, failure


def decode_reduced(body: bytes, factor: int) -> bytes | None:
    """A JPEG at a part of its size, as a BMP, which costs next to nothing; None when it cannot be decoded."""
    with SuppressStdoutStderr():
        cv2.setNumThreads(1)
        # As img2dataset has it, which does not turn pictures either.
        flags = FLAGS[factor] | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    return None if pixels is None else cv2.imencode(".bmp", pixels)[1].tobytes()
