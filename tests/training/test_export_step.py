"""export_student, the step: the files an application takes, with a model card, and what it refuses."""

import re

import pytest

from components.export_student import ExportStudent, export
from components.step import StepError
from infra.store import read_json, write_json

SOURCES = [
    {"list": "zh.csv", "path": "/lists/zh.csv", "licence": "CC-BY 4.0", "rows": 24},
    {"list": "en.csv", "path": "/lists/en.csv", "licence": "not stated", "rows": 20},
]
KEPT = {"step": "select_pairs", "input": 24, "kept": 23, "dropped": {}, "captions": {"zh": 19, "en": 20}}
MARKS = {"en": {"top1": 0.25, "top5": 0.5}, "zh": {"top1": 0.2, "top5": 0.4}}
RESULTS = {
    "exam": "colours",
    "num_images": 12,
    "num_classes": 6,
    "models": {"student": MARKS},
    "student": {"parameters": 20_000, "megabytes": 0.1},
}
FILES = {"image.onnx", "text.onnx", "onnx.json", "try_onnx.py", "student"}
SMALL = {"image.int8.onnx", "text.int8.onnx"}


@pytest.fixture
def steps(student_folder, corpus, tmp_path) -> dict:
    """What the steps before leave."""
    folders = {name: tmp_path / name for name in ("student", "selection", "results")}
    for folder in folders.values():
        folder.mkdir()
    (folders["student"] / "student").symlink_to(student_folder)
    write_json(folders["selection"] / "data_card.json", {"sources": SOURCES, "steps": [KEPT]})
    write_json(folders["results"] / "results.json", RESULTS)
    write_json(folders["results"] / "done.json", {"values": {"attributions": ["Pictures: nobody."]}})
    return {**folders, "embedded": corpus.embedded}


@pytest.fixture
def run(steps, exam_folder, tmp_path):
    """Runs the step; gives (its place, facts)."""

    def export_with(**values):
        place = tmp_path / "place"
        place.mkdir()
        return place, export(ExportStudent(str(exam_folder), **values), place, {}, **steps)

    return export_with


def test_all_files_are_there_and_the_card_tells_what_they_are(run):
    place, facts = run(num_calibration=8)
    assert {path.name for path in place.iterdir()} == FILES | SMALL
    card = (place / "student" / "README.md").read_text()
    assert card.startswith("---\nlanguage:\n- zh\n- en\n")
    for words in ("| zh.csv | CC-BY 4.0 | 24 |", "| en.csv | not stated | 20 |", "- Pictures: nobody."):
        assert words in card
    assert "23 pairs with 19 Chinese and 20 English captions" in card
    assert "| student | 25.0 | 50.0 | 20.0 | 40.0 |" in card
    found = re.search(r"\| int8 \| ([\d.]+) \| ([\d.]+) \|", card)
    small = facts["int8"]["top1"]["int8"]
    assert [float(text) for text in found.groups()] == pytest.approx(
        [100 * small["en"], 100 * small["zh"]], abs=0.05
    )
    assert read_json(place / "onnx.json")["image_size"] == 32


def test_int8_can_be_left_out(run):
    place, facts = run(int8=False)
    assert {path.name for path in place.iterdir()} == FILES
    assert set(facts) == {"cosine_gap"}
    assert "int8" not in (place / "student" / "README.md").read_text()


def test_towers_that_disagree_with_torch_are_refused(run):
    with pytest.raises(StepError, match="disagrees with torch"):
        run(int8=False, max_cosine_gap=-1.0)


def test_convolutions_need_pictures_to_calibrate_on_and_a_vit_does_not(run, steps, shape, tmp_path):
    steps["embedded"] = tmp_path / "nothing"
    if shape.family == "align":
        with pytest.raises(StepError, match="--set export_student.int8=false"):
            run()
    else:
        assert "int8" in run()[1]
