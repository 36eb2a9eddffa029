"""A training step for real: Ray, two workers, a tiny student, stopped and resumed."""

import json
from dataclasses import replace

import pytest
import torch
from toy_training import TINY, WIDTH, tiny_student

from training.job import TrainingJob, read_curve
from training.run import train_student
from training.settings import Phase
from training.student import load_student

PHASES = (
    Phase("text tower", ("text",), "texts", {"text_feature": 1.0}, 3, 8, 1e-3),
    Phase("alignment", ("image", "text"), "pairs", {"contrastive": 1.0}, 40, 8, 1e-3, augment=0.1),
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
        assert points[-1]["loss"] == facts["last_loss"][phase.name] < points[0]["loss"]


def test_a_second_call_resumes_and_ends_as_the_first_did(job, facts):
    before, num_points = state_of(job), len(lines_of(job))
    again = train_student(replace(job, checkpoint_seconds=60), "", num_workers=2, use_gpu=False)
    added = [(point["phase"], point["step"]) for point in map(json.loads, lines_of(job)[num_points:])]
    assert (added[0], added[-1]) == (("alignment", 20), ("alignment", 39))
    assert again == facts
    after = state_of(job)
    assert [name for name, tensor in before.items() if not tensor.equal(after[name])] == []
