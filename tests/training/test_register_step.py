"""register_student, the step: what it writes into the tags, and a registry that does not answer."""

import socket
from pathlib import Path

import pytest

from components.register_student import RegisterStudent, make_candidate, register
from components.step import StepError
from infra.store import write_json

MARKS = {"zh": {"top1": 0.5, "top5": 0.75}, "en": {"top1": 0.25, "top5": 0.5}}
RESULTS = {"exam": "colours", "models": {"student": MARKS}, "student": {"parameters": 20_000}}
HITS = {"zh": "1010", "en": "1000"}
INT8 = {"top1": {"fp32": {}, "int8": {"zh": 0.5, "en": 0.125}}, "drop_points": 6.25}


@pytest.fixture
def steps(student_folder, tmp_path) -> dict[str, Path]:
    """What the steps before leave."""
    folders = {name: tmp_path / name for name in ("student", "onnx", "results", "selection", "distilled")}
    for folder in folders.values():
        folder.mkdir()
        write_json(folder / "done.json", {"values": {"seed": 1}, "facts": {}})
    write_json(folders["onnx"] / "done.json", {"values": {}, "facts": {"int8": INT8}})
    (folders["onnx"] / "student").symlink_to(student_folder)
    write_json(folders["results"] / "done.json", {"values": {"content": "abc"}, "facts": {}})
    write_json(folders["results"] / "results.json", RESULTS)
    write_json(folders["results"] / "hits.json", HITS)
    return folders


@pytest.fixture
def config(exam_folder) -> RegisterStudent:
    return RegisterStudent(str(exam_folder), content="abc")


def test_tags_tell_where_a_version_comes_from_and_what_it_can_do(steps, config):
    candidate = make_candidate(config, steps)
    tags = dict(candidate.tags)
    assert [len(tags.pop(name)) for name in ("recipe", "code")] == [12, 12]
    assert tags == {
        "student": "student",
        "onnx": "onnx",
        "results": "results",
        "data": "selection",
        "exam": "colours",
        "parameters": "20000",
        "start": "scratch",
        "top1_zh": "0.5000",
        "top5_zh": "0.7500",
        "top1_en": "0.2500",
        "top5_en": "0.5000",
        "int8_top1_zh": "0.5000",
        "int8_top1_en": "0.1250",
        "int8_drop_points": "6.2500",
    }
    assert candidate.figures == {"top1_zh": 0.5, "top1_en": 0.25}
    assert [file.name for file in candidate.files] == ["results.json"]


def test_what_a_version_is_made_of_names_it_and_how_it_is_judged_does_not(steps, config):
    first = make_candidate(config, steps).identity
    judged = RegisterStudent(config.exam, config.content, margin=0.5)
    assert make_candidate(judged, steps).identity == first
    moved = {**steps, "onnx": steps["onnx"].rename(steps["onnx"].with_name("another"))}
    assert make_candidate(config, moved).identity != first


def test_two_exams_are_refused(steps, exam_folder):
    with pytest.raises(StepError, match="another exam"):
        make_candidate(RegisterStudent(str(exam_folder), content="xyz"), steps)


@pytest.fixture
def silent_server():
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://somebody:secret@127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("http_seconds, max_seconds", [("1", 300.0), ("300", 1.0)], ids=["request", "step"])
def test_a_registry_that_does_not_answer_fails_the_step_in_time(
    steps, config, silent_server, tmp_path, monkeypatch, http_seconds, max_seconds
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", http_seconds)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    engines = {"mlflow_uri": silent_server, "mlflow_artifacts": ""}
    bounded = RegisterStudent(config.exam, config.content, max_seconds=max_seconds)
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(StepError, match="not lost.*run again once the registry answers") as caught:
        register(bounded, place, engines, **steps)
    assert "secret" not in str(caught.value)
    assert str(steps["onnx"]) in str(caught.value)
    assert (steps["onnx"] / "student" / "model.safetensors").exists()
