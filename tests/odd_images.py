"""Images as people bring them, made by code: bit depths, modes, profiles, orientations, animations.

`PLAIN` maps a name to a file whose every pixel should come out as `COLOUR` or, for those of one channel,
`GREY`. `oriented` makes files that show a red corner, `CORNERS` says where it belongs.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageCms

COLOUR, GREY = (200, 100, 50), (132, 132, 132)
SIZE = (40, 30)
RGB = Image.new("RGB", SIZE, COLOUR)
LEVELS = np.full(SIZE[::-1], GREY[0], np.int64)
ORIENTATION = 0x0112
ORIENTED_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    """A file of the picture."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """The PNG with a chunk more, behind its header."""
    return png[:33] + png_chunk(name, content) + png[33:]


def deep_png(colour: tuple[int, ...]) -> bytes:
    """16 bits a channel; a colour of 8-bit values, grey, RGB or RGBA."""
    pixels = np.full((*SIZE[::-1], len(colour)), colour, np.uint16) * 257
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[len(colour)]
    return cv2.imencode(".png", pixels[..., order])[1].tobytes()


def raw_png(bits: int, colour_type: int, row: bytes) -> bytes:
    """A PNG whose rows are alike, for what no library at hand writes."""
    rows = (b"\0" + row) * SIZE[1]
    header = struct.pack(">IIBBBBB", *SIZE, bits, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def deep_grey_alpha_png(grey: int, alpha: int) -> bytes:
    """16 bits of grey and of alpha."""
    return raw_png(16, 4, struct.pack(">HH", grey * 257, alpha * 257) * SIZE[0])


def grey_tiff(values: np.ndarray, **options) -> bytes:
    """A TIFF of the values' own type."""
    return encoded(Image.fromarray(values), "TIFF", **options)


def half_clear(mode: str) -> Image.Image:
    """The colour that, at half of alpha, gives `COLOUR` on white."""
    alpha = 128
    shown = tuple(round(255 - (255 - value) * 255 / alpha) for value in (210, 180, 150))
    picture = Image.new("RGBA", SIZE, (*shown, alpha))
    return picture if mode == "RGBA" else picture.convert(mode)


def unsigned_tiff(values: np.ndarray, photometric: int = 1, bits: int = 32) -> bytes:
    """An uncompressed little-endian TIFF of unsigned integers."""
    body = values.astype(f"<u{bits // 8}").tobytes()
    entries = [
        (256, 4, SIZE[0]),
        (257, 4, SIZE[1]),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, SIZE[1]),
        (279, 4, len(body)),
        (339, 3, 1),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(body))
        + body
        + struct.pack("<H", len(entries))
        + table
        + bytes(4)
    )


def animated(kind: str) -> bytes:
    """The colour first, then black."""
    return encoded(RGB, kind, save_all=True, append_images=[Image.new("RGB", SIZE)], duration=100)


def lab() -> Image.Image:
    """The colour in CIELab."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(RGB, *profiles, outputMode="LAB")


def swapped_profile() -> bytes:
    """An ICC profile of a device whose red is sRGB's blue and whose blue is sRGB's red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"qXYZ").replace(b"bXYZ", b"rXYZ").replace(b"qXYZ", b"bXYZ")


SWAPPED = {"icc_profile": swapped_profile()}
PLAIN_COLOUR = {
    **{f"rgb {kind}": encoded(RGB, kind) for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")},
    "rgb JPEG": encoded(RGB, "JPEG", quality=95),
    "progressive JPEG": encoded(RGB, "JPEG", quality=95, progressive=True),
    "rgb 16 bit PNG": deep_png(COLOUR),
    "rgba 16 bit PNG": deep_png((*COLOUR, 255)),
    "rgb 16 bit LZW TIFF": cv2.imencode(".tiff", np.full((30, 40, 3), COLOUR[::-1], np.uint16) * 257)[
        1
    ].tobytes(),
    "palette PNG": encoded(RGB.quantize(4), "PNG"),
    "palette TIFF": encoded(RGB.quantize(4), "TIFF"),
    "CMYK JPEG": encoded(RGB.convert("CMYK"), "JPEG", quality=95),
    "CMYK TIFF": encoded(RGB.convert("CMYK"), "TIFF"),
    "LAB TIFF": encoded(lab(), "TIFF"),
    "YCbCr TIFF": encoded(RGB.convert("YCbCr"), "TIFF"),
    "broken profile": encoded(RGB, "PNG", icc_profile=b"no profile at all"),
    "profile of other colours": encoded(
        RGB, "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    ),
    "sRGB profile": encoded(
        RGB,
        "JPEG",
        quality=95,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ),
    "profile PNG": encoded(Image.new("RGB", SIZE, COLOUR[::-1]), "PNG", **SWAPPED),
    "profile JPEG": encoded(Image.new("RGB", SIZE, COLOUR[::-1]), "JPEG", quality=95, **SWAPPED),
    "profile and alpha": encoded(Image.new("RGBA", SIZE, (*COLOUR[::-1], 255)), "PNG", **SWAPPED),
    "profile and palette": encoded(Image.new("RGB", SIZE, COLOUR[::-1]).quantize(4), "PNG", **SWAPPED),
    "broken EXIF": encoded(RGB, "JPEG", quality=95, exif=b"Exif\0\0no table"),
    **{f"animated {kind}": animated(kind) for kind in ("PNG", "GIF", "WEBP")},
    "clear over the colour": encoded(RGB.convert("RGBA"), "PNG"),
}
PLAIN_GREY = {
    "grey JPEG": encoded(Image.new("L", SIZE, GREY[0]), "JPEG"),
    "grey PNG": encoded(Image.new("L", SIZE, GREY[0]), "PNG"),
    "16 bit PNG": deep_png(GREY[:1]),
    "16 bit with alpha PNG": deep_grey_alpha_png(GREY[0], 255),
    "16 bit TIFF": grey_tiff(LEVELS.astype(np.uint16) * 257),
    "16 bit LZW TIFF": grey_tiff(LEVELS.astype(np.uint16) * 257, compression="tiff_lzw"),
    "16 bit white is zero TIFF": unsigned_tiff((255 - LEVELS) * 257, photometric=0, bits=16),
    "32 bit of 8 TIFF": grey_tiff(LEVELS.astype(np.int32)),
    "32 bit of 16 TIFF": grey_tiff((LEVELS * 257).astype(np.int32)),
    "32 bit signed TIFF": grey_tiff((LEVELS * (2**31 - 1) // 255).astype(np.int32)),
    "32 bit unsigned TIFF": unsigned_tiff(LEVELS * (2**32 - 1) // 255),
    "float of 1 TIFF": grey_tiff((LEVELS / 255).astype(np.float32)),
    "float of 255 TIFF": grey_tiff(LEVELS.astype(np.float32)),
    "float of 65535 TIFF": grey_tiff((LEVELS * 257).astype(np.float32)),
}
WHITE = {
    "2 bit PNG": raw_png(2, 0, b"\xff" * (SIZE[0] // 4)),
    "4 bit PNG": raw_png(4, 0, b"\xff" * (SIZE[0] // 2)),
    "1 bit PNG": encoded(Image.new("1", SIZE, 1), "PNG"),
    "1 bit TIFF": encoded(Image.new("1", SIZE, 1), "TIFF", compression="group4"),
    **{
        f"clear {mode} {kind}": encoded(Image.new("RGBA", SIZE, (*COLOUR, 0)).convert(mode), kind, **options)
        for mode, kind, options in (
            ("RGBA", "PNG", {}),
            ("LA", "PNG", {}),
            ("RGBA", "WEBP", {"lossless": True}),
            ("RGBA", "TIFF", {}),
            ("RGBA", "AVIF", {}),
        )
    },
    "clear palette": encoded(Image.new("P", SIZE, 0), "PNG", transparency=0),
    "clear GIF": encoded(Image.new("P", SIZE, 0), "GIF", transparency=0),
    "clear colour": encoded(RGB, "PNG", transparency=COLOUR),
    "clear grey": encoded(Image.new("L", SIZE, 7), "PNG", transparency=7),
    "clear 16 bit RGBA": deep_png((*COLOUR, 0)),
    "clear 16 bit colour": with_chunk(
        deep_png(COLOUR), b"tRNS", struct.pack(">3H", *(value * 257 for value in COLOUR))
    ),
    "clear 16 bit grey": with_chunk(deep_png(GREY[:1]), b"tRNS", struct.pack(">H", GREY[0] * 257)),
    "clear 16 bit grey and alpha": deep_grey_alpha_png(7, 0),
}
# File and the colour that each of its pixels should have.
PLAIN = {
    **{name: (file, COLOUR) for name, file in PLAIN_COLOUR.items()},
    **{name: (file, GREY) for name, file in PLAIN_GREY.items()},
    **{name: (file, (255, 255, 255)) for name, file in WHITE.items()},
    "half clear": (encoded(half_clear("RGBA"), "PNG"), (210, 180, 150)),
    "half clear WEBP": (encoded(half_clear("RGBA"), "WEBP", lossless=True), (210, 180, 150)),
}
# What the web sends and a crawl reads.
CRAWLED = [name for name in PLAIN if "TIFF" not in name and "AVIF" not in name]
# By orientation: whether width and height change places, and where (right, lower) the red corner belongs.
CORNERS = {
    1: (False, (0, 0)),
    2: (False, (1, 0)),
    3: (False, (1, 1)),
    4: (False, (0, 1)),
    5: (True, (0, 0)),
    6: (True, (1, 0)),
    7: (True, (1, 1)),
    8: (True, (0, 1)),
}


def oriented(orientation: int, kind: str, scale: int = 1, **options) -> bytes:
    """A picture whose upper left quarter as stored is red, the rest white, with EXIF's orientation."""
    width, height = SIZE[0] * scale, SIZE[1] * scale
    picture, exif = Image.new("RGB", (width, height), "white"), Image.Exif()
    picture.paste((255, 0, 0), (0, 0, width // 2, height // 2))
    exif[ORIENTATION] = orientation
    return encoded(picture, kind, exif=exif, **options)


def red_corner(picture: Image.Image) -> tuple[bool, tuple[int, int]]:
    """(whether the picture stands upright, where its red corner is), as in `CORNERS`."""
    green = np.asarray(picture.convert("RGB"))[:, :, 1]
    places = {
        (right, lower): green[-3 if lower else 2, -3 if right else 2] for right in (0, 1) for lower in (0, 1)
    }
    return picture.height > picture.width, min(places, key=places.__getitem__)


def mean_of(picture: Image.Image) -> tuple[float, ...]:
    """The mean of each channel."""
    return tuple(np.asarray(picture.convert("RGB"), float).reshape(-1, 3).mean(0))
