"""Each kind of image file comes out as 8-bit RGB by value, on white, upright, in sRGB."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from infra import decode as decoding
from infra.decode import Unreadable, decode
from tests.odd_images import CORNERS, ORIENTED_FORMATS, PLAIN, RGB, encoded, mean_of, oriented, red_corner


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("strip", [2**22, 64])
def test_values(name, strip, monkeypatch):
    """In one strip and in strips of a row or so."""
    monkeypatch.setattr(decoding, "STRIP_PIXELS", strip)
    file, expected = PLAIN[name]
    picture = decode(file)
    assert picture.mode == "RGB" and picture.size == RGB.size
    assert mean_of(picture) == pytest.approx(expected, abs=1.6)


@pytest.mark.parametrize("kind", ORIENTED_FORMATS)
@pytest.mark.parametrize("orientation", CORNERS)
def test_orientation(orientation, kind):
    assert red_corner(decode(oriented(orientation, kind))) == CORNERS[orientation]


def test_orientation_in_xmp():
    text = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = Image.new("RGB", (40, 30), "white")
    picture.paste((255, 0, 0), (0, 0, 20, 15))
    assert red_corner(decode(encoded(picture, "JPEG", xmp=text))) == CORNERS[6]


def test_animation_is_taken_out_of_a_png_and_nothing_else():
    still = decoding.without_animation(PLAIN["animated PNG"][0])
    assert not any(name in still for name in (b"acTL", b"fcTL", b"fdAT"))
    assert decoding.without_animation(still) == still
    assert Image.open(io.BytesIO(still)).is_animated is False


def eps() -> bytes:
    """What Pillow would give to Ghostscript."""
    return encoded(RGB, "EPS")


BROKEN = {
    "page": b"<html>moved</html>",
    "empty": b"",
    "cut off JPEG": encoded(RGB, "JPEG")[:-200],
    "cut off PNG": encoded(RGB, "PNG")[:-30],
    "EPS": eps(),
    "PDF": encoded(RGB, "PDF"),
    "ICO": encoded(RGB, "ICO"),
    "PPM": encoded(RGB, "PPM"),
    "JPEG 2000": encoded(RGB, "JPEG2000"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_or_of_another_format_is_refused(name):
    with pytest.raises(Unreadable):
        decode(BROKEN[name])


def giant_tile() -> bytes:
    """A TIFF of one pixel in a tile of 20,000 by 20,000."""
    entries = [(256, 1), (257, 1), (258, 8), (259, 8), (262, 1), (277, 1)]
    entries += [(322, 20_000), (323, 20_000), (324, 8), (325, 8)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<2sHI8xH", b"II", 42, 16, len(entries)) + table + bytes(4)


COSTLY = {
    "pixels": encoded(Image.new("1", (10_000, 7_000)), "PNG"),
    "side": encoded(Image.new("1", (70_000, 80)), "PNG"),
    "aspect": encoded(Image.new("1", (5_000, 4)), "PNG"),
    "tile": giant_tile(),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_would_cost_too_much_is_not_decoded(name, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(Image.DecompressionBombError):
        decode(COSTLY[name])


@pytest.mark.parametrize("kind, mode", [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L")])
def test_a_large_picture_is_averaged_down_as_far_as_wanted(kind, mode):
    picture = Image.radial_gradient("L").resize((3000, 2000)).convert("RGB").convert(mode)
    file = encoded(picture, kind)
    small, whole = decode(file, keep_side=250), decode(file)
    assert whole.size == (3000, 2000) and small.size == (375, 250)
    difference = np.asarray(small, float) - np.asarray(whole.resize(small.size, Image.Resampling.BOX), float)
    assert np.abs(difference).mean() < 2


def test_a_small_picture_is_not_made_smaller():
    assert decode(encoded(RGB, "PNG"), keep_side=5).size == RGB.size
