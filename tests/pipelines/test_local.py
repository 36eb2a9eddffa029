"""A local run's edges: its console, what the machine must have, the served folder, a failure, the outcome."""

import io
import json
import shutil
import subprocess
import sys
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest

from components.demo_site import serve_folder
from components.step import StepError
from infra.store import write_json
from pipelines.local import Console, LocalRun, check_machine, read_outcome


@pytest.fixture
def console() -> Console:
    """A console on two files in memory."""
    return Console(io.StringIO(), io.StringIO())


NOISE = "21:19:54.026 - INFO - Streamed logs:\n[KFP Executor 2026 INFO]: Got executor_input:\n\n"


def test_the_terminal_gets_marked_lines_and_the_log_gets_all(console):
    text = f"{NOISE}[filter_pairs] kept 3 of 5\nnoise\n    [register_student] done\n"
    assert console.write(text) == len(text)
    assert console.log.getvalue() == text
    first, second = console.terminal.getvalue().splitlines()
    assert first.split(maxsplit=1)[1] == " 2/10 filter_pairs     kept 3 of 5".strip()
    assert second.split(maxsplit=1)[1] == "10/10 register_student done"


@pytest.mark.parametrize(
    "line, shown",
    [
        ("[download_pairs] starts", "1/10 download_pairs   starts"),
        ("[resolve_recipe] failed: no recipe", "resolve_recipe   failed: no recipe"),
        ("\x1b[36m(RayTrainWorker pid=71)\x1b[0m [align_student] step 1", "7/10 align_student    step 1"),
        ("    [embed_pairs] \x1b[1mbold\x1b[0m", "4/10 embed_pairs      bold"),
    ],
)
def test_a_marked_line_is_shown_with_its_step(console, line, shown):
    console.write(line + "\n")
    time_of_day, rest = console.terminal.getvalue().rstrip("\n").split(maxsplit=1)
    assert len(time_of_day) == len("12:34:56")
    assert rest == shown


def test_a_line_may_come_in_pieces(console):
    for piece in ("[filter", "_pairs] kept", " 3", "\n[embed_pairs] st", "arts\n"):
        console.write(piece)
    assert len(console.terminal.getvalue().splitlines()) == 2
    assert "kept 3" in console.terminal.getvalue()


def test_a_step_that_said_nothing_was_killed(console):
    console.write("[embed_pairs] starts\n")
    assert console.reason() == ("embed_pairs ended without a word: it was killed, most often for its memory")
    console.write("[embed_pairs] failed: the disk is full\n")
    assert console.reason() == "the reason is above"


def test_a_console_is_no_terminal(console):
    assert not console.isatty()
    console.flush()


def test_a_machine_without_java_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StepError, match="apt-get install openjdk-17-jre-headless"):
        check_machine(tmp_path)


Usage = namedtuple("Usage", "total used free")


def test_a_machine_with_a_full_disk_is_told_how_much_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 2**29))
    with pytest.raises(StepError, match=f"only 0.5 GiB are free below {tmp_path}, 2 needed"):
        check_machine(tmp_path)


def test_a_machine_with_java_and_room_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, 2**40))
    check_machine(tmp_path)


def test_a_folder_is_served_while_it_is_needed(tmp_path, capfd):
    (tmp_path / "cat.txt").write_text("猫")
    with serve_folder(tmp_path, 0) as port:
        url = f"http://127.0.0.1:{port}/cat.txt"
        assert urllib.request.urlopen(url).read().decode() == "猫"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_named_with_advice(tmp_path):
    with serve_folder(tmp_path, 0) as port, pytest.raises(StepError) as failure:
        serve_folder(tmp_path, port).__enter__()
    assert f"port {port} on 127.0.0.1 is in use" in str(failure.value)
    assert f"--set corpus.port={port + 1}" in str(failure.value)


def artifact(uri: str, **metadata) -> dict:
    """An artifact as KFP writes it."""
    return {"artifacts": [{"name": "out", "uri": uri, "metadata": metadata}]}


def reference(place: Path, step: str, reused: int) -> dict:
    """A reference to a place that is finished."""
    place.mkdir(parents=True)
    write_json(place / "done.json", {"step": step})
    return artifact(f"/kfp/{step}", step=step, address=str(place), identity=place.name, reused=reused)


PLACES = {"filter_pairs": "pairs", "evaluate_student": "results"}


def test_the_outcome_is_read_from_what_the_executors_wrote(tmp_path):
    run = tmp_path / "dcclip-full-2026"
    outputs = {
        "resolve-recipe": {"parameterValues": {"filter_pairs": {}}},
        "filter-pairs": {
            "artifacts": {
                "pairs": reference(tmp_path / "s" / "pairs", "filter_pairs", 0),
                "metrics": artifact("/kfp/metrics", kept=3),
            }
        },
        "evaluate-student": {
            "artifacts": {
                "results": reference(tmp_path / "s" / "results", "evaluate_student", 1),
                "report": artifact("/kfp/report"),
            }
        },
    }
    for task, output in outputs.items():
        (run / task).mkdir(parents=True)
        write_json(run / task / "executor_output.json", output)
    records, places = read_outcome(tmp_path)
    found = {step: str(tmp_path / "s" / name) for step, name in PLACES.items()}
    assert places == found
    assert records["filter_pairs"] == {"step": "filter_pairs", "reused": False}
    assert LocalRun(records, places, 1.0, tmp_path / "run.log").num_reused == 1


# A process of its own: a run ends all processes below it, and Spark's is below the tests.
FAILING = """
import json, sys
from components.step import StepError
from pipelines.full import PIPELINES
from pipelines.local import run_locally

tasks = PIPELINES["dcclip-full"].pipeline_spec.root.dag.tasks.values()
before = sum(task.HasField("retry_policy") for task in tasks)
try:
    run_locally("full", {"prepare_teacher.revision": "0" * 40}, sys.argv[1])
except StepError as error:
    retries = [before, sum(task.HasField("retry_policy") for task in tasks)]
    print(json.dumps({"error": str(error), "retries": retries}))
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> tuple[Path, list[str]]:
    """(root, lines on the terminal) of a run of the recipe `full`, whose lists are not there."""
    root = tmp_path_factory.mktemp("failed") / "root"
    done = subprocess.run([sys.executable, "-c", FAILING, str(root)], capture_output=True, text=True)
    return root, done.stdout.splitlines()


def test_a_failed_run_shows_the_reason_and_names_the_log(failed):
    root, lines = failed
    assert len(lines) == 2
    missing = root / "lists" / "wukong"
    assert lines[0].endswith(f"failed: {missing} is not there; the recipe's path names it")
    (log,) = root.glob("runs/*/run.log")
    assert f"the whole log in {log}. Finished steps stay finished" in json.loads(lines[1])["error"]
    assert "resolve-recipe" in log.read_text()


def test_a_local_run_leaves_the_pipeline_as_it_was(failed):
    """It is compiled for a cluster from the same object."""
    before, after = json.loads(failed[1][-1])["retries"]
    assert before == after == 12
