"""Broken images through the decoders of the crawl and of all other steps: an image or a reason, in bounds."""

import io

import numpy as np
import pytest
from PIL import Image

from components.crawl_guard import check_picture
from components.decoder import IsolatedResizer
from components.reduced_decoding import Output
from infra.crawl_reasons import REFUSALS, reason_of
from infra.decode import MAX_ASPECT, Unreadable, decode
from infra.safe_fetch import Refusal
from tests.hostile import number, within
from tests.hostile.fuzz import broken
from tests.odd_images import PLAIN

FILES = [file for file, _ in PLAIN.values()]
# Decoders warn of what they pass over.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MAX_PIXELS = 32_000_000
OUTPUT = Output(24, "png", 3)


@pytest.fixture(scope="module")
def resizer() -> IsolatedResizer:
    return IsolatedResizer(OUTPUT)


def as_the_crawl_does(body: bytes, resizer: IsolatedResizer) -> str:
    """The reason, or `stored`."""
    try:
        check_picture(body, MAX_PIXELS)
    except Refusal as refusal:
        return refusal.reason
    file, *_, message = resizer(io.BytesIO(body))
    if message:
        return reason_of(message)
    stored = Image.open(io.BytesIO(file))
    stored.load()
    assert (stored.format, stored.mode) == ("PNG", "RGB")
    assert max(stored.size) <= MAX_ASPECT * min(stored.size)
    return "stored"


def test_the_crawl_stores_an_image_or_a_reason(resizer):
    found = {
        as_the_crawl_does(body, resizer)
        for body in within(number(5, 600), broken(FILES, number(300, 60_000)))
    }
    assert {"stored", "not_an_image"} <= found <= {"stored", *REFUSALS}


def test_every_other_decode_gives_an_image_or_says_that_it_is_none():
    num_read = 0
    for body in within(number(3, 600), broken(FILES, number(300, 60_000), seed=1)):
        try:
            image = decode(body, max_pixels=1_000_000)
        except (Unreadable, Image.DecompressionBombError):
            continue
        assert image.mode == "RGB" and np.asarray(image).dtype == np.uint8
        num_read += 1
    assert num_read > 0
