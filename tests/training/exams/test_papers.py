"""ELEVATER's sets as they are asked, from the project's own class names and templates."""

import json
import random
from dataclasses import asdict, replace

import pytest

from components.evaluate_student import EvaluateStudent
from components.step import build
from pipelines.resolve import _locate, choose_recipe
from training.elevater import ELEVATER, GENERIC_TEMPLATES, load_set
from training.exams.class_order import BY_NAME, order_of
from training.exams.finding import names_of
from training.exams.folders import open_set
from training.exams.papers import elevater_paper, given, marked, own_paper


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


def test_a_set_without_templates_is_asked_with_generic_ones(tmp_path):
    (tmp_path / "set" / "test" / "tench").mkdir(parents=True)
    (tmp_path / "set" / "classnames_zh.txt").write_text("丁鱥\n")
    paper = own_paper("set", open_set(tmp_path / "set"), ("en", "zh"), None)
    assert paper.classes == {"en": ("tench",), "zh": ("丁鱥",)}
    assert paper.templates["zh"] == marked(GENERIC_TEMPLATES["zh"])


def test_a_recipe_names_exams_and_what_is_in_them_is_part_of_the_steps_identity(tmp_path):
    given_exams = [
        {"kind": "elevater", "path": "exams/elevater", "labels": {"path": "labels"}},
        {"kind": "retrieval", "hub": [{"name": "xm3600", "repository": "a/b", "revision": "0" * 40}]},
    ]
    recipe = choose_recipe("demo", {"evaluate_student.exams": json.dumps(given_exams)})
    for name in ("corpus/exam/emoji", "exams/elevater", "labels"):
        (tmp_path / name).mkdir(parents=True)
    evaluated = replace(recipe.evaluate_student, exam="corpus/exam/emoji")
    values = _locate(asdict(evaluated), str(tmp_path), "")
    first, second = build(EvaluateStudent, values).exams
    assert first.path == str(tmp_path / "exams" / "elevater")
    assert first.content and first.labels.content
    assert (second.path, second.hub[0].name) == (None, "xm3600")


def test_the_toolkits_mark_is_ours():
    assert marked(["a {}", "{c}"]) == ("a {c}", "{c}")
