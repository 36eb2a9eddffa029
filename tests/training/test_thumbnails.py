"""Pictures for a report: small whatever came in."""

import base64
import io

import pytest
from PIL import Image
from toy_training import noise, picture

from training.thumbnails import MAX_SIDE, thumbnail


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


@pytest.mark.parametrize(
    ("image", "kind"), [(picture("red", (900, 300)), "PNG"), (noise(1, (900, 900)), "JPEG")]
)
def test_a_thumbnail_is_small_and_keeps_its_shape(image, kind):
    address = thumbnail(image)
    small = opened(address)
    assert small.format == kind
    assert max(small.size) == MAX_SIDE
    assert small.width / small.height == pytest.approx(image.width / image.height, rel=0.02)
    assert len(address) < 60_000


def test_a_small_picture_stays_as_it_is():
    image = noise(2, (30, 20))
    assert opened(thumbnail(image)).tobytes() == image.tobytes()


def test_transparent_and_grey_pictures_have_thumbnails():
    for mode in ("RGBA", "L", "P"):
        assert opened(thumbnail(Image.new(mode, (8, 8)))).mode == "RGB"
