"""A picture small enough to stand in a report, as the address that holds it."""

import io
from base64 import b64encode

from PIL import Image

# Twice the side at which a report shows it, for dense screens.
MAX_SIDE = 176
# What has few colours stays sharp as PNG; a photograph is far above this, and becomes a JPEG.
MAX_PNG_BYTES = 8_000


def data_uri(content: bytes, kind: str) -> str:
    """A picture file as a `data:` address."""
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


def thumbnail(image: Image.Image) -> str:
    """The picture within 176 by 176 pixels, as a `data:` address of at most about 30 kB."""
    small = image.convert("RGB")
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    content = _encoded(small, "PNG", optimize=True)
    if len(content) <= MAX_PNG_BYTES:
        return data_uri(content, "png")
    return data_uri(_encoded(small, "JPEG", quality=80), "jpeg")


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
