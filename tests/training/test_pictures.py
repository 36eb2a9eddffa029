"""Decoded pictures: as the image processor shows them, views too, cached without changing what comes."""

import pytest
import torch
from toy_training import SIDE, noise, picture, png

from training import shards, views
from training.embedded import Pair
from training.pictures import Pictures, pixels_of

VIEWS = views.draw_views("a", views.ViewRules(num_views=2, max_jitter=0.9))


def pair(key: str, image: bytes) -> Pair:
    return Pair(key, image, VIEWS, {}, b"", {}, {})


PAIRS = [pair(f"{number}", png(noise(number))) for number in range(6)]


@pytest.mark.parametrize("image", [noise(0), noise(1, (20, 90)), noise(2, (SIDE, SIDE)), picture("red")])
def test_pictures_look_as_the_image_processor_shows_them(student, image):
    ours = pixels_of(image, SIDE).float() / 127.5 - 1
    theirs = student.image_processor(images=[image], return_tensors="pt")["pixel_values"][0]
    assert ours.shape == (3, SIDE, SIDE)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_view_is_shown_as_the_teacher_saw_it():
    (found,) = Pictures(SIDE).decode(PAIRS[:1], [2])
    assert found.equal(pixels_of(views.show(noise(0), VIEWS[1]), SIDE))


@pytest.mark.parametrize("content", [b"no picture", b"", png(noise(0))[:-200]])
def test_a_picture_that_cannot_be_decoded_is_none_each_time(content):
    pictures = Pictures(SIDE)
    for _ in range(2):
        found = pictures.decode([PAIRS[0], pair("x", content)], [0, 0])
        assert [item is None for item in found] == [False, True]


@pytest.mark.parametrize("num_kept", [0, 2, 100])
def test_the_cache_changes_nothing_and_is_bounded(num_kept, monkeypatch):
    decoded = []
    decode = shards.decode_or_none
    monkeypatch.setattr(shards, "decode_or_none", lambda content: decoded.append(content) or decode(content))
    pictures = Pictures(SIDE, num_decoders=2, cache_bytes=num_kept * 3 * SIDE * SIDE)
    fresh = torch.stack(Pictures(SIDE).decode(PAIRS, [0] * 6))
    decoded.clear()
    for _ in range(2):
        assert torch.stack(pictures.decode(PAIRS, [0] * 6)).equal(fresh)
    assert len(decoded) == 12 - min(num_kept, 6)
