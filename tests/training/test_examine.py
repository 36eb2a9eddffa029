"""The exam of a run: figures, examples, and the report's content from made-up facts."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_training import COLOURS, HAN, RGB, ToyTeacher, picture, png

from components.evaluate_student import EvaluateStudent
from components.evaluate_student import examine as examine_step
from components.step import build
from infra.store import read_json, write_json
from training import examine, shards, zero_shot
from training.exams.settings import ExamSource
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


@pytest.fixture
def published(tmp_path) -> Path:
    """A folder with a retrieval set of the colours."""
    folder = tmp_path / "pairs" / "colours" / "test"
    folder.mkdir(parents=True)
    samples = [
        {"__key__": colour, "png": png(picture(colour)), "zh.txt": HAN[colour].encode()} for colour in COLOURS
    ]
    shards.write_shard(folder / "0.tar", samples)
    return tmp_path / "pairs"


def test_published_exams_are_sat_by_both(published, student_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(examine, "load_teacher", ToyTeacher)
    sources = (ExamSource("retrieval", str(published)),)
    (exam,) = examine.examine_published(sources, tmp_path, student_folder.parent, "evaluate_student")
    assert exam["averages"]["all"]["teacher"]["zh"] == {"mean": 1.0, "num_sets": 1}
    assert set(exam["averages"]["all"]["student"]) == {"zh"}
    (table,) = examine.exam_tables([exam])
    assert (table.name, table.header[:3]) == ("pairs", ["set", "figure", "teacher zh"])
    missing = examine.examine_published(sources, tmp_path / "none", student_folder.parent, "evaluate_student")
    assert set(missing[0]["averages"]["all"]) == {"student"}


def test_without_published_exams_no_model_is_opened(tmp_path):
    assert examine.examine_published((), tmp_path, tmp_path / "none", "evaluate_student") == []


def test_the_step_writes_published_exams_down(
    exam_folder, published, student_folder, steps, tmp_path, monkeypatch
):
    monkeypatch.setattr(examine, "load_teacher", ToyTeacher)
    (tmp_path / "student" / "student").symlink_to(student_folder)
    steps |= {"raw": tmp_path / "raw", "teacher": tmp_path / "teacher"}
    for name, facts in FACTS.items():
        steps[name].mkdir(exist_ok=True)
        write_json(steps[name] / "done.json", {"facts": facts})
    source = {"kind": "retrieval", "path": str(published), "sets": ["colours", "absent"]}
    config = build(EvaluateStudent, {"exam": str(exam_folder), "exams": [source]})
    facts = examine_step(config, tmp_path, {}, **steps)
    assert facts["exams"][0]["sat"] == ["colours"]
    assert facts["exams"][0]["skipped"] == [{"set": "absent", "reason": "missing"}]
    assert read_json(tmp_path / "results.json")["exams"] == facts["exams"]
    assert read_json(tmp_path / "exams.json")[0]["sets"][0]["num_texts"] == {"zh": 6}
    page = (tmp_path / "report.html").read_text()
    assert "Published exams" in page
    assert "Skipped: absent." in page


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
