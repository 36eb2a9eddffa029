"""register_student, the step: tags, the report of the run, and a registry that is away or dies."""

import contextlib
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from toy_report import RESULTS as FULL_RESULTS
from toy_report import Page, write_results

from components.register_student import RegisterStudent, make_candidate, register
from components.step import StepError
from infra.store import write_json
from tests.cluster.clusters import family, kill, wait_for
from tests.cluster.refusing_proxy import Refusal, refusing_proxy

MARKS = {"zh": {"top1": 0.5, "top5": 0.75}, "en": {"top1": 0.25, "top5": 0.5}}
RESULTS = {"models": {"student": MARKS}, "student": {"parameters": 20_000, "megabytes": 0.1}}
HITS = {"zh": "1010", "en": "1000"}
INT8 = {
    "top1": {"fp32": {}, "int8": {"zh": 0.5, "en": 0.125}},
    "drop_points": 6.25,
    "megabytes": {"a": 2},
    "cpu": "Some CPU",
}


@pytest.fixture
def steps(student_folder, tmp_path) -> dict[str, Path]:
    """What the steps before leave."""
    folders = {name: tmp_path / name for name in ("student", "onnx", "results", "selection", "distilled")}
    for folder in folders.values():
        folder.mkdir()
        write_json(folder / "done.json", {"values": {"seed": 1}, "facts": {}})
    write_json(folders["onnx"] / "done.json", {"values": {}, "facts": {"int8": INT8}})
    shutil.copytree(student_folder, folders["onnx"] / "student")
    write_json(folders["results"] / "done.json", {"values": {"content": "abc"}, "facts": {}})
    write_results(folders["results"])
    write_json(folders["results"] / "results.json", FULL_RESULTS | RESULTS)
    write_json(folders["results"] / "hits.json", HITS)
    return folders


@pytest.fixture
def config(exam_folder) -> RegisterStudent:
    return RegisterStudent(str(exam_folder), content="abc")


def test_tags_tell_where_a_version_comes_from_and_what_it_can_do(steps, config):
    candidate = make_candidate(config, steps)
    tags = dict(candidate.tags)
    assert [len(tags.pop(name)) for name in ("recipe", "code")] == [32, 32]
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
def place(tmp_path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def report_of(file: Path) -> str:
    return Page(file.read_text()).text


def test_the_report_tells_the_decision_and_is_kept_with_the_run(steps, config, place, tmp_path):
    engines = {
        "mlflow_uri": f"sqlite:///{tmp_path}/mlflow.db",
        "mlflow_artifacts": f"file://{tmp_path}/mlflow",
    }
    done = register(config, place, engines, **steps)
    assert (done["version"], done["alias"]) == (1, "champion")
    text = report_of(place / "report.html")
    assert "Version 1 of dcclip is champion : the first version. No comparison with another version" in text
    tags = make_candidate(config, steps).tags
    assert f"Recipe {tags['recipe']}" in text
    run = mlflow.MlflowClient().get_model_version("dcclip", "1").run_id
    assert mlflow.artifacts.load_text(f"runs:/{run}/report.html") == (place / "report.html").read_text()
    steps["onnx"] = steps["onnx"].rename(steps["onnx"].with_name("another"))
    assert register(config, place, engines, **steps)["alias"] == "challenger"
    text = report_of(place / "report.html")
    assert "Version 2 of dcclip is challenger : the mean top-1 is not surely better" in text
    assert "It was compared with version 1" in text
    assert "Mean 37.5% 37.5% +0.0" in text


@pytest.fixture
def silent_server():
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://somebody:secret@127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("http_seconds, max_seconds", [("1", 300.0), ("300", 1.0)], ids=["request", "step"])
def test_a_registry_that_does_not_answer_fails_the_step_in_time(
    steps, config, silent_server, place, monkeypatch, http_seconds, max_seconds
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", http_seconds)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    engines = {"mlflow_uri": silent_server, "mlflow_artifacts": ""}
    bounded = RegisterStudent(config.exam, config.content, max_seconds=max_seconds)
    with pytest.raises(StepError, match="not lost.*run again once the registry answers") as caught:
        register(bounded, place, engines, **steps)
    assert "secret" not in str(caught.value)
    assert str(steps["onnx"]) in str(caught.value)
    assert (steps["onnx"] / "student" / "model.safetensors").exists()
    assert "Not decided yet" in report_of(place / "report.html")


def test_a_registry_that_is_not_there_fails_the_step_in_one_line(steps, config, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    engines = {"mlflow_uri": f"http://127.0.0.1:{free_port()}", "mlflow_artifacts": ""}
    with pytest.raises(StepError, match=r"^the registry http://.*not lost.*run again.*$"):
        register(config, tmp_path, engines, **steps)


def free_port() -> int:
    """One where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """The address of a real tracking server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), str(free_port())
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder))
    address = ("--host", "127.0.0.1", "--port", port, "--workers", "1")
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", "server", *stores, *address]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_well(url), "the tracking server")
        yield url
    finally:
        kill(family(process.pid))
        process.wait()


def is_well(url: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"{url}/health").status == 200
    return False


def dying_at(request: str) -> Callable[[str, str], Refusal | None]:
    """From this request on, no answer."""
    asked = []

    def refuse(method: str, path: str) -> Refusal | None:
        asked.extend([path] if request in path else [])
        return Refusal(0) if asked else None

    return refuse


@pytest.mark.slow
def test_a_registry_that_dies_half_way_gets_the_rest_when_it_is_back(
    steps, config, server, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    named = RegisterStudent(config.exam, config.content, model=tmp_path.name)
    with refusing_proxy(server) as gate:
        engines = {"mlflow_uri": gate.url, "mlflow_artifacts": ""}
        gate.refuse = dying_at("model-versions/create")
        with pytest.raises(StepError, match="The student is not lost.*run again once the registry answers"):
            register(named, tmp_path, engines, **steps)
        assert not (tmp_path / "registered.json").exists()
        gate.refuse = lambda method, path: None
        done = register(named, tmp_path, engines, **steps)
    assert (done["version"], done["alias"]) == (1, "champion")
    client = MlflowClient(server)
    (version,) = client.search_model_versions(f"name='{named.model}'")
    (run,) = client.search_runs([client.get_experiment_by_name(named.model).experiment_id])
    assert version.run_id == run.info.run_id
