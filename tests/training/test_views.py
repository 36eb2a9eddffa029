"""Views: drawn by key and rules alone, within bounds, and shown again exactly as they were stored."""

import json

import pytest
from toy_training import noise

from training.views import View, ViewRules, draw_views, from_record, show, to_record

RULES = ViewRules(num_views=50, min_area=0.3, max_jitter=0.2)
PLAIN = View((0, 0, 1, 1), 1, 1, 1)


@pytest.mark.parametrize("view", draw_views("key", RULES))
def test_a_view_keeps_its_rules(view):
    left, top, right, bottom = view.crop
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert 0.3 - 1e-3 <= (right - left) * (bottom - top) <= 1
    assert 0.74 <= (right - left) / (bottom - top) <= 1.35
    assert all(0.8 <= factor <= 1.2 for factor in (view.brightness, view.contrast, view.saturation))


def test_views_depend_on_key_and_seed_alone():
    assert draw_views("a", RULES) == draw_views("a", RULES)
    assert draw_views("a", RULES) != draw_views("b", RULES)
    assert draw_views("a", RULES) != draw_views("a", ViewRules(50, 0.3, 0.2, seed=1))
    assert len(set(draw_views("a", RULES))) == 50


def test_no_views_unless_asked_for():
    assert draw_views("a", ViewRules()) == []


def test_a_stored_view_shows_the_same_pixels():
    drawn = draw_views("a", RULES)
    again = from_record(json.loads(json.dumps(to_record(drawn))))
    assert again == drawn
    image = noise(0, (90, 71))
    assert all(
        show(image, one).tobytes() == show(image, other).tobytes()
        for one, other in zip(drawn, again, strict=True)
    )


def test_the_whole_picture_unchanged_is_a_view():
    assert show(noise(0), PLAIN).tobytes() == noise(0).tobytes()


def test_a_crop_is_where_it_says():
    image = noise(0, (100, 50))
    shown = show(image, View((0.1, 0.2, 0.5, 1.0), 1, 1, 1))
    assert shown.tobytes() == image.crop((10, 10, 50, 50)).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (3, 2)])
def test_the_smallest_picture_has_views(size):
    for view in draw_views("a", RULES):
        assert min(show(noise(0, size), view).size) >= 1
