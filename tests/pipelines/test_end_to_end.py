"""dcclip-full on the smoke recipe, from URL lists to the registry, every engine for real."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from transformers import pipeline

from infra.store import read_json
from pipelines.resolve import STEPS
from tests.planted_secrets import secrets_below, secrets_in
from tests.smoke_run import command, dcclip_run, steps_run

SUMMARY = {
    "teacher_top1_en",
    "teacher_top1_zh",
    "student_top1_en",
    "student_top1_zh",
    "chance",
    "num_unseen_concepts",
    "student_parameters",
    "run_seconds",
    "peak_memory_megabytes",
}


def place_of(printed: str, name: str) -> Path:
    """The path in a line `name PATH` at the end."""
    return Path(re.search(rf"^{name} (/\S+)$", printed, re.MULTILINE).group(1))


def test_all_ten_steps_run_and_figures_are_printed_last(first_run):
    _, printed = first_run
    assert steps_run(printed) == list(STEPS)
    figures = dict(re.findall(r"^figure (\w+) ([-\d.e]+)$", printed, re.MULTILINE))
    assert set(figures) == SUMMARY
    assert int(figures["num_unseen_concepts"]) == 40
    assert 0 <= float(figures["student_top1_zh"]) <= 1


def test_no_secret_of_the_environment_is_in_anything_a_run_writes(first_run):
    root, printed = first_run
    assert secrets_below(root) == {} and secrets_in([printed.encode()]) == set()


def test_planted_rows_are_dropped_with_reasons(first_run):
    root, _ = first_run
    (record,) = (root / "store" / "filter_pairs").glob("*/done.json")
    dropped = read_json(record)["facts"]["dropped"]
    # Six copies of one picture, which is in the corpus once more; and nothing else, so every fetch worked.
    assert dropped == {"http_error": 6, "not_an_image": 6, "image_too_small": 6, "duplicate_image": 6}


def test_a_second_run_redoes_nothing_and_says_so(first_run):
    root, _ = first_run
    printed = dcclip_run(root)
    assert steps_run(printed) == []
    assert "Nothing to do" in printed


def test_a_changed_value_reruns_its_step_and_those_after(first_run):
    root, _ = first_run
    printed = dcclip_run(root, "evaluate_student.num_examples=5")
    assert steps_run(printed) == ["evaluate_student", "export_student", "register_student"]


def test_the_student_directory_needs_no_code_of_ours(first_run):
    _, printed = first_run
    classify = pipeline("zero-shot-image-classification", model=str(place_of(printed, "student")))
    image = Image.fromarray(np.full((72, 72, 3), 200, np.uint8))
    for labels in (["lemon", "a man"], ["柠檬", "男人"]):
        found = classify(image, candidate_labels=labels, hypothesis_template="{}")
        assert {item["label"] for item in found} == set(labels)
        assert sum(item["score"] for item in found) == pytest.approx(1, abs=1e-4)


def test_the_champion_predicts_from_bytes_and_paths(first_run, tmp_path):
    root, _ = first_run
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((72, 72, 3), 128, np.uint8)).save(path)
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/dcclip@champion")
    frame = pd.DataFrame({"image": [path.read_bytes(), str(path)], "labels": [["lemon", "柠檬"]] * 2})
    answers = model.predict(frame)
    assert set(answers["label"]) <= {"lemon", "柠檬"}
    assert np.allclose(answers["scores"][0], answers["scores"][1])


def test_the_report_is_one_file_with_pictures(first_run):
    _, printed = first_run
    report = place_of(printed, "report").read_text()
    assert "data:image/png;base64," in report and "<svg" in report
    assert not re.search(r"(src|href)=\"https?://", report)


def test_trying_an_image(first_run, tmp_path):
    root, _ = first_run
    image = tmp_path / "red.png"
    Image.new("RGB", (72, 72), "red").save(image)
    executable = str(Path(sys.executable).with_name("dcclip"))
    done = subprocess.run(
        [executable, "try", "--root", str(root), str(image), "lemon", "柠檬"], capture_output=True, text=True
    )
    assert sorted(line.split()[-1] for line in done.stdout.splitlines()) == ["lemon", "柠檬"], done.stderr


def test_an_interrupt_leaves_nothing_running_and_keeps_what_is_done(first_run, tmp_path):
    root, _ = first_run
    # The seed reruns stage 1, which starts Ray and its workers: the hardest to leave clean.
    process = subprocess.Popen(
        command(root, "distill_student.seed=7"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "image tower" in line:
            break
    time.sleep(5)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "run again to go on" in errors
    assert "Traceback" not in errors
    assert not [item for item in started if item.is_running()]
    assert (root / "store" / "download_pairs").exists()
    assert "download_pairs" not in steps_run(dcclip_run(root))
