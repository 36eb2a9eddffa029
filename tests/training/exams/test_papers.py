"""ELEVATER's sets as they are asked, from the project's own class names and templates."""

import random

import pytest

from training.elevater import ELEVATER, load_set
from training.exams.class_order import BY_NAME, order_of
from training.exams.finding import names_of
from training.exams.papers import elevater_paper, given, marked


@pytest.mark.parametrize("key", ELEVATER)
def test_every_set_has_a_paper_in_both_languages(key):
    paper = elevater_paper(key, ("en", "zh"), None)
    assert paper.num_classes == len(load_set(key).classes["zh"]) == len(paper.known_as)
    assert all("{c}" in template for templates in paper.templates.values() for template in templates)


@pytest.mark.parametrize("key", ELEVATER)
def test_every_class_is_found_by_its_own_name_in_any_order(key):
    known = load_set(key)
    order = random.Random(0).sample(range(len(known.classes["en"])), len(known.classes["en"]))
    found, how = order_of(tuple(known.classes["en"][at] for at in order), known.synonyms["en"])
    assert (found.tolist(), how) == (order, BY_NAME)


def test_no_folder_belongs_to_two_sets():
    names = [name for key in ELEVATER for name in set(names_of(key))]
    assert len(names) == len(set(names))


def test_the_first_file_wins(tmp_path):
    places = [tmp_path / "set", tmp_path]
    (tmp_path / "set").mkdir()
    (tmp_path / "names_zh.json").write_text("all")
    assert given(places, "names", "zh", type(tmp_path).read_text) is None
    assert given(places, "names", "zh", type(tmp_path).read_text, (".txt", ".json")) == "all"
    (tmp_path / "set" / "names_zh.txt").write_text("one")
    assert given(places, "names", "zh", type(tmp_path).read_text, (".txt", ".json")) == "one"


def test_the_toolkits_mark_is_ours():
    assert marked(["a {}", "{c}"]) == ("a {c}", "{c}")
