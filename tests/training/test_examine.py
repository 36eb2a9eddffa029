"""The exam of a run: figures, examples, and the report's content from made-up facts."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_training import COLOURS, HAN, RGB, ToyTeacher

from training import examine, zero_shot
from training.report import FunnelStage, write_report
from training.student import load_student

FACTS = {
    "raw": {
        "rows": 40,
        "urls": 30,
        "dropped": {"no_caption": 4},
        "joined_by_url": 6,
        "crawl": {"urls": 30, "downloaded": 27, "success_rate": 0.9, "images_per_second": 123.4},
    },
    "pairs": {"input": 30, "kept": 24, "dropped": {"too_small": 5, "same_picture": 1}},
    "teacher": {"source": "lit:", "described": "three networks and a sentence encoder"},
    "selection": {
        "input": 24,
        "kept": 1_200,
        "dropped": {"low_teacher_score": 1},
        "captions": {"zh": 1_100, "en": 21},
    },
}
SHARE = {lang: {"top1": 0.5, "top5": 0.75} for lang in ("en", "zh")}
RESULTS = {
    "exam": "colours",
    "num_images": 12,
    "num_classes": 6,
    "models": {"teacher": SHARE, "student": SHARE, "chance": SHARE},
    "student": {"parameters": 7_654_321, "megabytes": 29.25},
}


@pytest.fixture(scope="module")
def exam(exam_folder):
    return zero_shot.read_exam(exam_folder)


@pytest.fixture
def steps(tmp_path) -> dict[str, Path]:
    """Places of two training steps with a point of loss each."""
    for name, loss in (("distilled", 2.0), ("student", 1.0)):
        (tmp_path / name).mkdir()
        point = {"phase": "p", "step": 0, "loss": loss, "learning_rate": 1e-3, "scale": 20.0}
        (tmp_path / name / "curve.jsonl").write_text(json.dumps(point) + "\n")
    for name, reason in (("pairs", "too_small"), ("selection", "low_teacher_score")):
        row = {
            "step": name,
            "reason": reason,
            "url": "http://a/b.png",
            "zh": "红",
            "en": None,
            "picture": None,
        }
        (tmp_path / name / "samples").mkdir(parents=True)
        (tmp_path / name / "samples" / "samples.json").write_text(json.dumps([row]))
    return {name: tmp_path / name for name in ("distilled", "student", "pairs", "selection")}


def test_examples_are_spread_over_the_exam(exam):
    scores = zero_shot.similarities(ToyTeacher(), exam)
    found = examine.make_examples(exam, scores, 0.05, 3)
    colours = [Image.open(io.BytesIO(item.image)).getpixel((0, 0)) for item in found]
    assert colours == [RGB["red"], RGB["white"], RGB["white"]]
    assert found[0].truth == {"en": "red", "zh": HAN["red"]}


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (12, 12), (99, 12)])
def test_there_are_no_more_examples_than_pictures(exam, wanted, given):
    scores = zero_shot.similarities(ToyTeacher(), exam)
    assert len(examine.make_examples(exam, scores, 0.05, wanted)) == given


def test_the_five_best_labels_come_with_their_probabilities(exam):
    scores = {lang: np.tile(np.array([0.1, 0.5, 0.3, 0.2, 0.0, 0.4]), (12, 1)) for lang in ("en", "zh")}
    (example,) = examine.make_examples(exam, scores, 0.1, 1)
    logits = scores["en"][0] / 0.1
    odds = np.exp(logits) / np.exp(logits).sum()
    order = [1, 5, 2, 3, 0]
    assert [name for name, _ in example.top5["en"]] == [COLOURS[number] for number in order]
    assert [name for name, _ in example.top5["zh"]] == [HAN[COLOURS[number]] for number in order]
    assert [share for _, share in example.top5["en"]] == pytest.approx(odds[order].tolist())


def test_teacher_and_student_sit_the_same_exam(exam_folder, student_folder, monkeypatch):
    monkeypatch.setattr(examine, "load_teacher", ToyTeacher)
    results, examples = examine.examine_models(exam_folder, Path("teacher"), student_folder.parent, 4)
    assert (results["exam"], results["num_images"], results["num_classes"]) == ("colours", 12, 6)
    assert results["models"]["teacher"]["zh"] == {"top1": 1.0, "top5": 1.0}
    assert results["models"]["chance"]["en"]["top1"] == pytest.approx(1 / 6)
    assert set(results["models"]["student"]["en"]) == {"top1", "top5"}
    for lang, marks in results["hits"].items():
        assert marks.count("1") / 12 == results["models"]["student"][lang]["top1"]
    assert results["student"]["parameters"] == load_student(student_folder).num_parameters
    assert 0 < results["student"]["megabytes"] < 1
    assert len(examples) == 4


def test_the_report_gathers_what_the_steps_recorded(steps):
    content = examine.gather_report(RESULTS, [], FACTS, steps, ("Pictures: us",))
    assert content.about == {
        "Teacher": "three networks and a sentence encoder",
        "Student parameters": "7.7 million",
        "Student file": "29.2 MB",
        "Crawl": "27 images of 30 URLs (90.0%), 123 a second",
        "Training pairs": "1,200",
        "Captions": "1,100 Chinese, 21 English",
    }
    assert content.funnel[0] == FunnelStage("url_lists", 40, 30, {"no_caption": 4, "joined_by_url": 6})
    assert content.funnel[1] == FunnelStage("filter_pairs", 30, 24, {"too_small": 5, "same_picture": 1})
    assert {name: points[0]["loss"] for name, points in content.curves.items()} == {
        "distill_student": 2.0,
        "align_student": 1.0,
    }
    assert content.exam["rows"][1] == {"model": "student", **SHARE}
    assert content.attributions == ["Pictures: us"]
    assert [(sheet.step, sheet.reason) for sheet in content.drops] == [
        ("pairs", "too_small"),
        ("selection", "low_teacher_score"),
    ]


def test_the_report_can_be_written(exam, steps, tmp_path):
    examples = examine.make_examples(exam, zero_shot.similarities(ToyTeacher(), exam), 0.05, 2)
    content = examine.gather_report(RESULTS, examples, FACTS, steps, ())
    write_report(tmp_path / "report.html", content)
    text = (tmp_path / "report.html").read_text()
    assert HAN["red"] in text
    assert "7.7 million" in text
