"""What the crawl keeps of a picture file: RGB at the size that is kept, encoded anew.

An ordinary JPEG goes to OpenCV's decoder, and where it is large at a half, a quarter or an eighth of its
size, which costs 5.5 ms instead of 10 for 1440 by 1080 pixels; the results differ by 36 to 39 dB where there
is detail at all scales. All others go through `infra.decode`.
Both are averaged down to img2dataset's sizes.
"""

import io
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image

from components.picture_header import is_ordinary_jpeg, read_size
from infra.decode import Unreadable, decode

FLAGS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
QUALITY = {
    "jpg": cv2.IMWRITE_JPEG_QUALITY,
    "png": cv2.IMWRITE_PNG_COMPRESSION,
    "webp": cv2.IMWRITE_WEBP_QUALITY,
}
# img2dataset's words.
UNDECODABLE = "Image decoding error"


class Kept(Protocol):
    """What of img2dataset's Resizer counts here."""

    image_size: int
    encode_format: str
    encode_params: list[int]


@dataclass(frozen=True)
class Output:
    """The same as plain values: the shorter side in pixels that larger pictures get, and the encoding."""

    image_size: int
    encode_format: str
    encode_quality: int

    @property
    def encode_params(self) -> list[int]:
        """OpenCV's."""
        return [int(QUALITY[self.encode_format]), self.encode_quality]


@dataclass(frozen=True)
class ReducingResizer:
    """In place of img2dataset's Resizer in the mode keep_ratio, for pictures larger than what is kept."""

    resizer: Kept

    def __call__(self, stream: io.BytesIO, boxes: Any = None) -> tuple:
        """(file, width, height, width before, height before, None), or five None and why it failed."""
        body = stream.getvalue()
        try:
            pixels = decode_pixels(body, self.resizer.image_size)
            return self._encoded(pixels, _upright_size(body, pixels))
        except Image.DecompressionBombError as error:
            return *[None] * 5, f"too_many_pixels: {error}"
        except MemoryError:
            return *[None] * 5, "too_many_pixels: more memory than a decoder gets"
        except (Unreadable, cv2.error):
            return *[None] * 5, UNDECODABLE

    def _encoded(self, pixels: np.ndarray, size: tuple[int, int]) -> tuple:
        width, height = size
        if min(size) > self.resizer.image_size:
            scale = self.resizer.image_size / min(size)
            width, height = round(width * scale), round(height * scale)
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        _, file = cv2.imencode(f".{self.resizer.encode_format}", pixels, self.resizer.encode_params)
        return file.tobytes(), width, height, *size, None


def decode_pixels(body: bytes, keep_side: int) -> np.ndarray:
    """A picture file upright, uint8 (height, width, 3) in OpenCV's order, no smaller than is kept.

    Raises:
        Unreadable, Image.DecompressionBombError: see `infra.decode`.
    """
    size = read_size(body) if is_ordinary_jpeg(body) else None
    factor = next((item for item in FLAGS if size and min(size) // item > keep_side), 1)
    pixels = None
    if size:
        pixels = decode_reduced(body, factor) if factor > 1 else decode_jpeg(body, cv2.IMREAD_COLOR)
    if pixels is None:
        pixels = np.asarray(decode(body, keep_side + 1))[:, :, ::-1]
    return np.ascontiguousarray(pixels)


def decode_reduced(body: bytes, factor: int) -> np.ndarray | None:
    """A JPEG at a part of its size; None when it cannot be decoded."""
    return decode_jpeg(body, FLAGS[factor])


def decode_jpeg(body: bytes, flags: int) -> np.ndarray | None:
    """A JPEG as it is stored; None when it cannot be decoded."""
    return cv2.imdecode(np.frombuffer(body, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)


def _upright_size(body: bytes, pixels: np.ndarray) -> tuple[int, int]:
    """(width, height) of the whole picture as it is held; a turned one is told by its longer side."""
    width, height = read_size(body) or pixels.shape[1::-1]
    is_turned = (width - height) * (pixels.shape[1] - pixels.shape[0]) < 0
    return (height, width) if is_turned else (width, height)
