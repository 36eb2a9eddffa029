"""Benchmarks are looked at when the recipe is resolved, not at step 8."""

from dataclasses import asdict

import pytest

from components.evaluate_student import EvaluateStudent
from components.step import StepError, build
from pipelines.benchmarks import require_benchmarks

HUB = {"name": "food-101", "repository": "a/food", "revision": "main"}


@pytest.fixture
def gate(tmp_path):
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "classnames.txt").write_text("a\nb\n\n")
    return tmp_path / "gate"


def check(gate, *exams: dict) -> None:
    require_benchmarks(asdict(build(EvaluateStudent, {"exam": str(gate), "exams": list(exams)})))


def test_what_can_be_evaluated_passes(gate, tmp_path):
    (tmp_path / "elevater" / "food-101").mkdir(parents=True)
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars" / "0.tar").write_bytes(b"")
    check(
        gate,
        {"kind": "elevater", "path": str(tmp_path / "elevater"), "sets": ["wds_food101", "pets"][1:]},
        {"kind": "retrieval", "path": str(tmp_path / "tars")},
        {"kind": "classification", "hub": [{**HUB, "revision": "0" * 40}]},
        {"kind": "retrieval", "path": "s3://bucket/pairs"},
    )


@pytest.mark.parametrize(
    "source, words",
    [
        ({"kind": "elevater", "path": "FILE"}, "file is no folder; evaluate_student.exams.0 names it"),
        ({"kind": "retrieval", "path": "EMPTY"}, "holds no data set"),
        ({"kind": "elevater", "path": "SETS", "sets": ["imagenet"]}, "ELEVATER has no set 'imagenet'"),
        ({"kind": "classification", "hub": [HUB]}, "a/food is not pinned"),
        ({"kind": "elevater", "path": "SETS", "labels": {"path": "FILE"}}, "exams.0.labels names it"),
    ],
)
def test_what_cannot_is_refused_before_anything_runs(gate, tmp_path, source, words):
    (tmp_path / "sets" / "food-101").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    places = {name.upper(): str(tmp_path / name) for name in ("file", "empty", "sets")}
    text = {
        key: places.get(value, value) if isinstance(value, str) else value for key, value in source.items()
    }
    if "labels" in text:
        text["labels"] = {"path": places["FILE"]}
    with pytest.raises(StepError, match=words):
        check(gate, text)


def test_the_gates_names_are_read(gate):
    (gate / "classnames_zh.txt").write_text("一\n \n二\n")
    with pytest.raises(StepError, match="line 2 of .*classnames_zh.txt is empty"):
        check(gate)
    (gate / "classnames_zh.txt").write_bytes("柠檬".encode("gbk"))
    with pytest.raises(StepError, match="not UTF-8"):
        check(gate)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a\\b", ""])
def test_a_sets_name_leads_nowhere(gate, name):
    with pytest.raises(ValueError, match="a data set's name is that of a folder"):
        check(gate, {"kind": "classification", "path": "/data", "sets": [name]})
