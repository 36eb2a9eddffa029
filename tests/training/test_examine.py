"""The exam of a run: figures, examples, confusions, and the evidence that the step leaves."""

import base64
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
from training.evidence import read_evidence
from training.exams.settings import ExamSource
from training.student import load_student


@pytest.fixture(scope="module")
def exam(exam_folder):
    return zero_shot.read_exam(exam_folder)


@pytest.fixture
def steps(tmp_path, student_folder) -> dict[str, Path]:
    """Places of the steps before: two curves with a point of loss, two samples of dropped rows."""
    home = tmp_path / "steps"
    names = ("raw", "pairs", "teacher", "selection", "distilled", "student")
    for name in names:
        (home / name).mkdir(parents=True)
        write_json(home / name / "done.json", {"facts": {"of": name}, "values": {"seed": 1}, "seconds": 2})
    for name, loss in (("distilled", 2.0), ("student", 1.0)):
        point = {"phase": "p", "step": 0, "loss": loss, "learning_rate": 1e-3, "scale": 20.0}
        (home / name / "curve.jsonl").write_text(json.dumps(point) + "\n")
    for name, reason in (("pairs", "too_small"), ("selection", "low_teacher_score")):
        row = {
            "step": name,
            "reason": reason,
            "url": "http://a/b.png",
            "zh": "红",
            "en": None,
            "picture": None,
        }
        (home / name / "samples").mkdir()
        write_json(home / name / "samples" / "samples.json", [row])
    (home / "student" / "student").symlink_to(student_folder)
    return {name: home / name for name in names}


def content_of(address: str) -> bytes:
    """The file in a `data:` address."""
    return base64.b64decode(address.partition(",")[2])


def test_examples_are_spread_over_the_exam(exam):
    scores = zero_shot.similarities(ToyTeacher(), exam)
    found = examine.make_examples(exam, scores, 0.05, 3)
    colours = [Image.open(io.BytesIO(content_of(item.image))).getpixel((0, 0)) for item in found]
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
    results, shown = examine.examine_models(exam_folder, Path("teacher"), student_folder.parent, 4, 2)
    assert (results["exam"], results["num_images"], results["num_classes"]) == ("colours", 12, 6)
    assert results["models"]["teacher"]["zh"] == {"top1": 1.0, "top5": 1.0}
    assert results["models"]["chance"]["en"]["top1"] == pytest.approx(1 / 6)
    assert set(results["models"]["student"]["en"]) == {"top1", "top5"}
    for lang, marks in results["hits"].items():
        assert marks.count("1") / 12 == results["models"]["student"][lang]["top1"]
    assert results["student"]["parameters"] == load_student(student_folder).num_parameters
    assert 0 < results["student"]["megabytes"] < 1
    assert len(shown["examples"]) == 4
    wrong = {lang: marks.count("0") for lang, marks in results["hits"].items()}
    for lang, found in shown["confusions"].items():
        assert len(found) == min(2, wrong[lang])
        assert all(item.teacher_right and item.guess != item.truth for item in found)


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
    assert exam["name"] == "pairs"
    missing = examine.examine_published(sources, tmp_path / "none", student_folder.parent, "evaluate_student")
    assert set(missing[0]["averages"]["all"]) == {"student"}


def test_without_published_exams_no_model_is_opened(tmp_path):
    assert examine.examine_published((), tmp_path, tmp_path / "none", "evaluate_student") == []


def test_the_step_writes_exams_and_evidence_down(exam_folder, published, steps, tmp_path, monkeypatch):
    monkeypatch.setattr(examine, "load_teacher", ToyTeacher)
    source = {"kind": "retrieval", "path": str(published), "sets": ["colours", "absent"]}
    config = build(EvaluateStudent, {"exam": str(exam_folder), "exams": [source]})
    facts = examine_step(config, tmp_path, {}, **steps)
    assert facts["exams"][0]["sat"] == ["colours"]
    assert facts["exams"][0]["skipped"] == [{"set": "absent", "reason": "missing"}]
    assert read_json(tmp_path / "results.json")["exams"] == facts["exams"]
    assert read_json(tmp_path / "exams.json")[0]["sets"][0]["num_texts"] == {"zh": 6}
    evidence = read_evidence(tmp_path)
    assert evidence.records["raw"] == {"facts": {"of": "raw"}, "values": {"seed": 1}}
    assert [len(evidence.examples), set(evidence.confusions)] == [12, {"en", "zh"}]
    assert {name: points[0]["loss"] for name, points in evidence.curves.items()} == {
        "distill_student": 2.0,
        "align_student": 1.0,
    }
    assert [(sheet.step, sheet.reason) for sheet in evidence.drops] == [
        ("pairs", "too_small"),
        ("selection", "low_teacher_score"),
    ]
    assert evidence.teacher_parameters is None
