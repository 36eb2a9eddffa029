"""Large JPEGs come out as img2dataset makes them, from fewer pixels."""

import io

import cv2
import numpy as np
import pytest
from crawl_site import make_pictures
from img2dataset.resizer import Resizer
from PIL import Image

from components import reduced_decoding
from components.reduced_decoding import ReducingResizer

PLAIN = Resizer(64, "keep_ratio", resize_only_if_bigger=True, encode_quality=95)


def pixels(file: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR).astype(float)


@pytest.fixture
def factors(monkeypatch) -> list[int]:
    """By how much pictures were reduced."""
    seen, real = [], reduced_decoding.decode_reduced
    monkeypatch.setattr(
        reduced_decoding, "decode_reduced", lambda body, factor: seen.append(factor) or real(body, factor)
    )
    return seen


SIDES = [(60, []), (96, []), (128, []), (130, [2]), (252, [2]), (264, [4]), (768, [8])]


@pytest.mark.parametrize("side, expected", SIDES)
def test_the_result_is_close_to_img2datasets(factors, side, expected):
    (picture,) = make_pictures(1, side)
    file, *sizes, failure = ReducingResizer(PLAIN)(io.BytesIO(picture))
    plain, *plain_sizes, _ = PLAIN(io.BytesIO(picture))
    assert (factors, sizes[1:], failure) == (expected, plain_sizes[1:], None)
    assert abs(sizes[0] - plain_sizes[0]) <= 1
    ours, theirs = cv2.resize(pixels(file), plain_sizes[:2]), pixels(plain)
    # 30 dB.
    assert np.mean((ours - theirs) ** 2) < 255**2 / 1_000


@pytest.mark.parametrize("kind, mode", [("PNG", "RGB"), ("WEBP", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK")])
def test_other_kinds_come_out_too(kind, mode):
    stream = io.BytesIO()
    Image.new("RGB", (300, 200), "red").convert(mode).save(stream, kind)
    file, *sizes, failure = ReducingResizer(PLAIN)(stream)
    assert (sizes, failure) == ([96, 64, 300, 200], None)
    assert np.abs(pixels(file) - pixels(PLAIN(stream)[0])).max() <= 2


def test_a_picture_is_turned_upright():
    stream = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (300, 200), "red").save(stream, "JPEG", exif=turned)
    assert ReducingResizer(PLAIN)(stream)[1:5] == (64, 96, 200, 300)


def test_what_cannot_be_decoded_fails_as_in_img2dataset():
    (picture,) = make_pictures(1, 256)
    broken = picture[:300]
    assert ReducingResizer(PLAIN)(io.BytesIO(broken)) == PLAIN(io.BytesIO(broken))
