"""What a picture's header says of its cost, before a decoder sees it: format, width, height, passes.

JPEG, PNG, WEBP, GIF and BMP are known; anything else (a page, an SVG, an archive) is not an image to us.

Left out on purpose: Pillow. It takes 80 microseconds a picture, a tenth of what img2dataset needs for a
small one, allocates the canvas of a WEBP twice to tell its size, and would be one more parser that
strangers can reach.
"""

import struct
from collections.abc import Callable, Iterator

Size = tuple[int, int]

# A progressive JPEG has about ten passes. One of 51 bytes costs 15 ms at 31 million pixels, so that 20 MB of
# them would take hours to decode. 20 MB of something else behind the picture looks like 300 by chance.
MAX_JPEG_PASSES = 500
MAX_JPEG_SEGMENTS = 1_000
START_OF_SCAN = b"\xff\xda"
# Start of frame, of all kinds; the three left out are tables.
JPEG_FRAMES = {*range(0xFFC0, 0xFFD0)} - {0xFFC4, 0xFFC8, 0xFFCC}
# EXIF or XMP (which may turn the picture), ICC profiles or a second picture.
JPEG_METADATA = {0xFFE1, 0xFFE2}
END_OF_IMAGE = b"\xff\xd9"
# Fill and markers that stand alone.
JPEG_LONE = {0xFFFF, 0xFF01, *range(0xFFD0, 0xFFD9)}


def read_size(body: bytes) -> Size | None:
    """(width, height) in pixels as the header says, None when it is no image."""
    for signature, read in READERS.items():
        if body.startswith(signature):
            try:
                return read(body)
            except struct.error:
                return None
    return None


def count_passes(body: bytes) -> int:
    """How often a decoder goes over the picture, at most; 1 for all but a JPEG."""
    return body.count(START_OF_SCAN) if body.startswith(JPEG) else 1


def _png_size(body: bytes) -> Size | None:
    kind, width, height = struct.unpack_from(">4sII", body, 12)
    return (width, height) if kind == b"IHDR" else None


def _gif_size(body: bytes) -> Size:
    return struct.unpack_from("<HH", body, 6)


def _bmp_size(body: bytes) -> Size:
    """The oldest header, of 12 bytes, has short sizes; a negative height means rows from the top."""
    (header_bytes,) = struct.unpack_from("<I", body, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", body, 18)
    return abs(width), abs(height)


def _webp_size(body: bytes) -> Size | None:
    """Of the canvas, the lossless or the lossy picture, as the first chunk is one or another."""
    head = body[:30].ljust(30, b"\0")
    (lossless,) = struct.unpack_from("<I", head, 21)
    width, height = struct.unpack_from("<HH", head, 26)
    sizes = {
        b"VP8X": (int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1),
        b"VP8L": ((lossless & 0x3FFF) + 1, (lossless >> 14 & 0x3FFF) + 1),
        b"VP8 ": (width & 0x3FFF, height & 0x3FFF),
    }
    return sizes.get(head[12:16]) if head[8:12] == b"WEBP" else None


def is_ordinary_jpeg(body: bytes) -> bool:
    """Whether a JPEG is whole, of 8 bits, grey or RGB, and has neither EXIF nor a profile."""
    if not (body.startswith(JPEG) and body.endswith(END_OF_IMAGE)):
        return False
    try:
        *before, (frame, start) = _jpeg_segments(body)
        bits, num_channels = body[start + 4], body[start + 9]
    except (struct.error, ValueError, IndexError):
        return False
    is_bare = frame in JPEG_FRAMES and not any(marker in JPEG_METADATA for marker, _ in before)
    return is_bare and bits == 8 and num_channels in (1, 3)


def _jpeg_size(body: bytes) -> Size | None:
    """From the first frame; None when something else stands between the segments before it."""
    for marker, start in _jpeg_segments(body):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, start + 5)
            return width, height
    return None


def _jpeg_segments(body: bytes) -> Iterator[tuple[int, int]]:
    """(marker, position) of each segment up to the first frame, or to what is none."""
    start = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        marker, length = struct.unpack_from(">HH", body, start)
        if marker <= 0xFF00:
            return
        if marker in JPEG_LONE:
            start += 1 if marker == 0xFFFF else 2
            continue
        yield marker, start
        if marker in JPEG_FRAMES:
            return
        start += 2 + length


JPEG = b"\xff\xd8\xff"
READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    JPEG: _jpeg_size,
    b"\x89PNG\r\n\x1a\n": _png_size,
    b"GIF8": _gif_size,
    b"BM": _bmp_size,
    b"RIFF": _webp_size,
}
