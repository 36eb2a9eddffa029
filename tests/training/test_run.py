"""A training step for real: Ray, two workers, a tiny student, stopped, killed and resumed."""

import contextlib
import json
import multiprocessing
import re
import signal
import time
from dataclasses import replace

import psutil
import pytest
import torch
from toy_training import TINY, WIDTH, tiny_student

from components.step import failing_clearly
from tests.cluster.clusters import ray_cluster
from training import ray_node
from training.job import TrainingJob, read_curve
from training.run import train_student
from training.settings import Phase
from training.student import load_student

PHASES = (
    Phase("text tower", ("text",), "texts", {"text_feature": 1.0}, 30, 8, 1e-3),
    Phase("alignment", ("image", "text"), "pairs", {"contrastive": 1.0}, 120, 8, 1e-3, augment=0.1),
)


@pytest.fixture(scope="module")
def job(corpus, tmp_path_factory) -> TrainingJob:
    """A job that checkpoints as often as it may, every twenty steps."""
    place = tmp_path_factory.mktemp("distilled")
    tiny_student().tokenizer.save_pretrained(place / "tokenizer")
    return TrainingJob(
        step="distill_student",
        embedded=corpus.embedded,
        selection=corpus.selection,
        place=place,
        width=WIDTH,
        phases=PHASES,
        shape=TINY,
        tokenizer=place / "tokenizer",
        checkpoint_seconds=0,
    )


@pytest.fixture(scope="module")
def facts(job) -> dict:
    return train_student(job, ray_address="", num_workers=2, use_gpu=False)


def state_of(job: TrainingJob) -> dict[str, torch.Tensor]:
    return load_student(job.place / "student").model.state_dict()


def lines_of(job: TrainingJob) -> list[str]:
    return (job.place / "curve.jsonl").read_text().splitlines()


def test_the_student_is_written_and_has_learned(job, facts):
    torch.manual_seed(job.seed)
    student, fresh = load_student(job.place / "student"), tiny_student(job.seed)
    assert facts["parameters"] == student.num_parameters
    weights = dict(student.model.named_parameters())
    moved = [name for name, old in fresh.model.named_parameters() if not weights[name].equal(old)]
    assert len(moved) > len(weights) / 2
    assert "temperature" in moved


def test_the_curve_has_points_of_every_phase(job, facts):
    curve = read_curve(job.place)
    for phase in PHASES:
        points = [point for point in curve if point["phase"] == phase.name]
        steps = [point["step"] for point in points]
        assert (steps[0], steps[-1]) == (0, phase.num_steps - 1)
        assert steps == sorted(set(steps))
        losses = [point["loss"] for point in points]
        assert losses[-1] == facts["last_loss"][phase.name]
        assert sum(losses[-5:]) < sum(losses[:5])


def test_a_second_call_resumes_and_ends_as_the_first_did(job, facts):
    before, num_points = state_of(job), len(lines_of(job))
    again = train_student(replace(job, checkpoint_seconds=60), "", num_workers=2, use_gpu=False)
    added = [(point["phase"], point["step"]) for point in map(json.loads, lines_of(job)[num_points:])]
    assert (added[0], added[-1]) == (("alignment", 100), ("alignment", 119))
    assert again == facts
    after = state_of(job)
    assert [name for name, tensor in before.items() if not tensor.equal(after[name])] == []


def train_alone(job: TrainingJob, ray_address: str = "") -> None:
    """What the process does that is killed, or whose worker or cluster is."""
    ray_node.GONE_SECONDS = 4.0
    with failing_clearly(job.step):
        train_student(job, ray_address, num_workers=2, use_gpu=False)


def start_elsewhere(
    job: TrainingJob, place, ray_address: str = ""
) -> tuple[TrainingJob, multiprocessing.Process]:
    """The same job at another place, under way in a process of its own, with a checkpoint behind it."""
    place.mkdir()
    other = replace(job, place=place)
    process = multiprocessing.get_context("spawn").Process(target=train_alone, args=(other, ray_address))
    process.start()
    while process.is_alive() and len(known_checkpoints(other)) < 2:
        time.sleep(0.02)
    assert process.is_alive(), "training ended before it could be killed"
    return other, process


def known_checkpoints(job: TrainingJob) -> list[str]:
    """The checkpoints that Ray Train has noted down, oldest first."""
    notes = "".join(file.read_text() for file in job.place.glob("ray/train/*snapshot*.json"))
    return sorted(set(re.findall(r"checkpoint_[\d_.-]+\d", notes)))


def family_of(process: multiprocessing.Process) -> list[psutil.Process]:
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def kill(processes: list[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=30)


def same_weights(one: TrainingJob, other: TrainingJob) -> bool:
    return all(tensor.equal(state_of(other)[name]) for name, tensor in state_of(one).items())


def test_a_killed_worker_is_replaced_and_the_weights_are_the_same(job, facts, tmp_path):
    other, process = start_elsewhere(job, tmp_path / "place")
    workers = [each for each in family_of(process) if "RayTrainWorker" in each.name() + str(each.cmdline())]
    assert len(workers) == 2
    kill(workers[:1])
    process.join(timeout=240)
    assert process.exitcode == 0
    assert same_weights(job, other)


def test_a_killed_step_goes_on_from_its_checkpoint_and_a_broken_one_is_left_aside(
    job, facts, tmp_path, capfd
):
    other, process = start_elsewhere(job, tmp_path / "place")
    kill(family_of(process))
    newest = other.place / "ray/train" / known_checkpoints(other)[-1] / "checkpoint.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    train_alone(other)
    assert same_weights(job, other)
    assert "not whole and left aside: checkpoint_" in capfd.readouterr().out


@pytest.mark.slow
def test_a_cluster_whose_head_dies_ends_the_step_which_goes_on_elsewhere(
    job, facts, tmp_path, capfd, monkeypatch
):
    with ray_cluster(tmp_path / "ray") as cluster, monkeypatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        other, process = start_elsewhere(job, tmp_path / "place", cluster.address)
        cluster.kill_head()
        process.join(timeout=180)
        assert process.exitcode == 1
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith("[distill_student] failed: the Ray cluster")
    train_alone(other)
    assert same_weights(job, other)
