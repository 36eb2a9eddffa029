"""One way from an image file to pixels: 8-bit RGB by value, on white, upright, in sRGB, first frame only.

The crawl, the filters, training, evaluation and serving all decode here. The ONNX example and the registered
model carry this file's text inside (`training.export.self_contained`), so it needs numpy and Pillow alone.

Formats are an allow-list, since Pillow hands some others to other programs (EPS to Ghostscript). Sizes, sides
and tiles are checked before anything is allocated for them. What is large is converted in strips, so that a
decode takes little more than the decoder's own image.

Left out on purpose: gain maps and HDR transfer curves; whatever is not the first frame.
"""

import functools
import io
import struct

import numpy as np
from PIL import AvifImagePlugin, Image, ImageCms, TiffImagePlugin, WebPImagePlugin  # noqa: F401 (they register)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000
# Of a JPEG. Resizing a longer row takes a gigabyte for its weights.
MAX_SIDE = 65_535
MAX_ASPECT = 1_000
# A TIFF of one pixel may have a tile of any size.
MAX_TILE_PIXELS = 2**24
# Pictures above it are converted in strips of so many.
STRIP_PIXELS = 2**22
MAX_PROFILE_BYTES = 2**22
PNG = b"\x89PNG\r\n\x1a\n"
ANIMATION_CHUNKS = (b"acTL", b"fcTL", b"fdAT")
ORIENTATION, PHOTOMETRIC, BITS_PER_SAMPLE, SAMPLE_FORMAT, TILE_WIDTH, TILE_LENGTH = (
    274,
    262,
    258,
    339,
    322,
    323,
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's modes by the colour space that an ICC profile speaks of.
PROFILED_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
SRGB = ImageCms.createProfile("sRGB")


class Unreadable(ValueError):
    """A file that is no image of `FORMATS`, or a broken one."""


def decode(
    content: bytes, keep_side: int | None = None, max_pixels: int = MAX_PIXELS, formats: tuple = FORMATS
) -> Image.Image:
    """An image file's first frame as `to_rgb` has it.

    Raises:
        Unreadable: it cannot be decoded.
        Image.DecompressionBombError: it has more pixels than allowed, or too long a side or tile.
    """
    try:
        with Image.open(io.BytesIO(without_animation(content)), formats=formats) as picture:
            return to_rgb(picture, keep_side, max_pixels)
    except (Unreadable, Image.DecompressionBombError, MemoryError):
        raise
    # Decoders raise errors of almost every kind on broken input.
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def without_animation(content: bytes) -> bytes:
    """A PNG without the chunks that animate it: libraries disagree on them, and some crash on broken ones."""
    if not content.startswith(PNG) or not any(name in content for name in ANIMATION_CHUNKS):
        return content
    kept, start = [PNG], len(PNG)
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        end = start + length + 12
        if name not in ANIMATION_CHUNKS:
            kept.append(content[start:end])
        start = end
    return b"".join(kept)


def to_rgb(picture: Image.Image, keep_side: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An opened picture as 8-bit RGB: by value, on white, upright, in sRGB.

    Args:
        keep_side: pixels that the shorter side must keep. Where a whole factor leaves as many, a JPEG is
            decoded at a part of its size and another large picture is averaged down; None keeps all.

    Raises:
        Image.DecompressionBombError: see `decode`.
    """
    check_size(picture, max_pixels)
    if keep_side:
        picture.draft(None, (keep_side, keep_side))
    _fit_transparency(picture)
    picture.load()
    # Not before: Pillow turns a TIFF itself, and a PNG may have both behind its pixels.
    turn, profile = TURNS.get(_orientation(picture)), picture.info.get("icc_profile")
    is_large = picture.width * picture.height > STRIP_PIXELS
    factor = max(1, min(picture.size) // keep_side) if keep_side and is_large else 1
    rgb = _in_strips(picture, factor, profile)
    return rgb if turn is None else rgb.transpose(turn)


def check_size(picture: Image.Image, max_pixels: int = MAX_PIXELS) -> None:
    """Raise Image.DecompressionBombError for what would cost too much, from the header alone."""
    width, height = picture.size
    if width * height > max_pixels:
        raise Image.DecompressionBombError(f"{width} x {height} pixels are too many")
    if max(width, height) > MAX_SIDE or max(width, height) > MAX_ASPECT * min(width, height):
        raise Image.DecompressionBombError(f"{width} x {height} pixels: a side is too long")
    tags = getattr(picture, "tag_v2", {})
    if tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0) > MAX_TILE_PIXELS:
        raise Image.DecompressionBombError(f"tiles of {tags[TILE_WIDTH]} x {tags[TILE_LENGTH]} are too large")


def _orientation(picture: Image.Image) -> int | None:
    """EXIF's; None where it is not there or broken."""
    try:
        return picture.getexif().get(ORIENTATION)
    except Exception:  # Whatever a parser raises on a file that a stranger made.
        return None


def _fit_transparency(picture: Image.Image) -> None:
    """Make the transparent colour of a PNG of 16 bits one of the 8 bits that Pillow decodes it to."""
    key = picture.info.get("transparency")
    if isinstance(key, tuple) and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ())):
        picture.info["transparency"] = tuple(value >> 8 for value in key)


def _in_strips(picture: Image.Image, factor: int, profile: bytes | None) -> Image.Image:
    """The whole picture as RGB, averaged down by `factor`."""
    (width, height), scale = picture.size, _Scale(picture)
    rows = max(1, STRIP_PIXELS // (width * factor)) * factor
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = picture if rows >= height else picture.crop((0, top, width, min(height, top + rows)))
        part = _on_white(strip, scale, profile)
        rgb.paste(part.reduce(factor) if factor > 1 else part, (0, top // factor))
    return rgb


def _on_white(picture: Image.Image, scale: "_Scale", profile: bytes | None) -> Image.Image:
    colours, alpha = _eight_bit(picture, scale)
    rgb = _in_srgb(colours, profile)
    return rgb if alpha is None else Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


def _eight_bit(picture: Image.Image, scale: "_Scale") -> tuple[Image.Image, Image.Image | None]:
    """(colours in one of `PROFILED_MODES`, alpha or None)."""
    if scale.is_wide:
        return scale.apply(picture)
    is_grey = picture.mode in ("1", "L", "LA")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        return rgba.convert("L" if is_grey else "RGB"), rgba.getchannel("A")
    if picture.mode in PROFILED_MODES.values():
        return picture, None
    return picture.convert("L" if is_grey else "RGB"), None


class _Scale:
    """What the values of grey pictures of more than 8 bits mean; Pillow itself cuts them at 255.

    16 bits are a fraction of 65,535. Wider integers and floats have no scale of their own: theirs is the
    smallest of the usual ones (1 for floats, 255, 65,535) that holds the largest value.
    """

    def __init__(self, picture: Image.Image):
        self.is_wide = picture.mode in ("I", "F") or picture.mode.startswith("I;")
        if self.is_wide:
            tags = getattr(picture, "tag_v2", {})
            self.is_signed = tags.get(SAMPLE_FORMAT, (2,))[0] == 2
            self.white_is_zero = tags.get(PHOTOMETRIC) == 0
            self.largest = self._largest(picture, tags.get(BITS_PER_SAMPLE, (32,))[0])

    def _largest(self, picture: Image.Image, bits: int) -> float:
        """The value that stands for white."""
        if picture.mode.startswith("I;"):
            return 2 ** min(bits, 16) - 1
        if picture.mode == "I" and bits == 16:
            return 2**15 - 1
        values = self._values(picture)
        found = float(np.max(values, where=np.isfinite(values), initial=0))
        usual = (255, 2**16 - 1, 2**31 - 1, 2**32 - 1) if picture.mode == "I" else (1, 255, 2**16 - 1)
        return next((largest for largest in usual if found <= largest), found)

    def _values(self, picture: Image.Image) -> np.ndarray:
        values = np.asarray(picture)
        return values if self.is_signed or values.dtype != np.int32 else values.view(np.uint32)

    def apply(self, picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
        """(grey, alpha or None) of 8 bits."""
        values = self._values(picture)
        shares = np.nan_to_num(values.astype(np.float32) / np.float32(self.largest)).clip(0, 1)
        shares = 1 - shares if self.white_is_zero else shares
        key = picture.info.get("transparency")
        alpha = Image.fromarray((values != key).astype(np.uint8) * 255) if isinstance(key, int) else None
        return Image.fromarray((shares * 255 + 0.5).astype(np.uint8)), alpha


def _in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB by the ICC profile where that fits the colours, else as Pillow converts."""
    transform = _transform(profile or b"", colours.mode)
    return colours.convert("RGB") if transform is None else ImageCms.applyTransform(colours, transform)


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where there is none, or it is broken or of other colours."""
    if (not profile and mode != "LAB") or len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.createProfile("LAB")
        if profile:
            source = ImageCms.getOpenProfile(io.BytesIO(profile)).profile
        if PROFILED_MODES.get(source.xcolor_space.strip()) != mode:
            return None
        return ImageCms.buildTransform(ImageCms.ImageCmsProfile(source), SRGB, mode, "RGB")
    # lcms and Pillow raise errors of several kinds on a broken profile.
    except Exception:
        return None
