"""One line a format: the size that a header tells, and what is no picture."""

import io
import struct

import pytest
from PIL import Image

from components.picture_header import count_passes, read_size


def encode(kind: str, **options) -> bytes:
    """A picture of 337 by 221 pixels as a file."""
    stream = io.BytesIO()
    Image.new("RGB", (337, 221), "red").save(stream, kind, **options)
    return stream.getvalue()


JPEG = encode("JPEG")


@pytest.mark.parametrize(
    "body",
    [
        JPEG,
        encode("JPEG", progressive=True),
        encode("JPEG", exif=b"Exif\0\0" + JPEG, comment=JPEG),
        JPEG[:2] + b"\xff\xff\xff" + JPEG[2:],
        encode("PNG"),
        encode("GIF"),
        encode("BMP"),
        encode("WEBP", lossless=True),
        encode("WEBP", lossless=False),
        encode("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 337, -221),
        b"BM" + bytes(12) + struct.pack("<IHH", 12, 337, 221),
    ],
)
def test_the_size_is_in_the_header(body):
    assert read_size(body) == (337, 221)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<svg/>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"BM",
        b"GIF8",
        b"\xff\xd8\xff",
        JPEG[:100],
        b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000 + JPEG[2:],
        b"\xff\xd8\xff\xfe\0\2junk" + JPEG[2:],
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"RIFF\0\0\0\0WAVEfmt " + bytes(40),
        b"RIFF\0\0\0\0WEBPICCP" + bytes(40),
    ],
)
def test_anything_else_is_no_image(body):
    assert read_size(body) is None


def test_passes_are_counted_in_a_jpeg_only():
    assert count_passes(JPEG) == 1
    assert 5 < count_passes(encode("JPEG", progressive=True)) < 15
    assert count_passes(encode("PNG") + b"\xff\xda" * 999) == 1
