"""What a worker keeps: the loss curve after a restart, the checkpoint, batches on a device."""

import json
from dataclasses import replace

import pytest
import torch
from toy_training import TINY, WIDTH, tiny_student

from training.job import TrainingJob, announce, read_curve
from training.ray_edge import Session
from training.settings import Phase
from training.worker import on_device, open_student, take_step, tell_unreadable, train


def job_at(place, **settings) -> TrainingJob:
    phase = Phase("image tower", ("image",), "pairs", {"image_feature": 1.0}, 300, 64, 1e-3)
    return TrainingJob("distill_student", place, place, place, WIDTH, (phase,), **settings)


def test_a_step_repeated_after_a_restart_counts_once(tmp_path):
    steps = [("a", 0, 3.0), ("a", 20, 2.0), ("b", 0, 9.0), ("a", 20, 2.5), ("b", 0, 8.0), ("b", 20, 7.0)]
    points = [{"phase": phase, "step": step, "loss": loss} for phase, step, loss in steps]
    (tmp_path / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    curve = [(point["phase"], point["step"], point["loss"]) for point in read_curve(tmp_path)]
    assert curve == [("a", 0, 3.0), ("a", 20, 2.5), ("b", 0, 8.0), ("b", 20, 7.0)]


def test_batches_go_to_a_device_with_what_is_nested_in_them():
    batch = {"pixels": torch.ones(2), "zh_tokens": {"input_ids": torch.ones(2)}}
    moved = on_device(batch, torch.device("meta"))
    assert moved["pixels"].device.type == moved["zh_tokens"]["input_ids"].device.type == "meta"


@pytest.mark.parametrize("start", ["fresh", "distilled"])
def test_the_student_to_train_is_open_and_in_training_mode(tmp_path, start):
    torch.manual_seed(0)
    tiny_student().save(tmp_path)
    source = {"shape": TINY, "tokenizer": tmp_path} if start == "fresh" else {"start": tmp_path}
    torch.manual_seed(0)
    student = open_student(job_at(tmp_path, **source))
    expected = tiny_student().model.state_dict()
    assert student.model.training
    assert all(tensor.equal(expected[name]) for name, tensor in student.model.state_dict().items())


@pytest.mark.parametrize(("number", "rank", "is_said"), [(3, 0, True), (0, 0, False), (3, 1, False)])
def test_the_first_worker_says_what_could_not_be_read(tmp_path, capsys, number, rank, is_said):
    session = Session(rank, 2, torch.device("cpu"), print, None)
    tell_unreadable("a", number, job_at(tmp_path), session)
    told = "[distill_student] a: 3 rows could not be read, others stood in for them\n"
    assert capsys.readouterr().out == (told if is_said else "")


def test_a_worker_takes_every_step_on_its_part_and_leaves_saving_to_the_first(corpus, tmp_path, monkeypatch):
    taken = []

    def noted(run, *rest):
        taken.append((run.phase.name, run.step))
        return take_step(run, *rest)

    monkeypatch.setattr("training.worker.take_step", noted)
    tiny_student().save(tmp_path)
    kinds = ("pairs", "texts", "both")
    terms = {"text_feature": 1.0}
    phases = tuple(Phase(kind, ("image", "text"), kind, terms, 2, 8, 1e-3) for kind in kinds)
    folders = {"embedded": corpus.embedded, "selection": corpus.selection}
    job = replace(job_at(tmp_path, start=tmp_path), phases=phases, **folders)
    train(job, Session(1, 2, torch.device("cpu"), print, None))
    assert taken == [(kind, step) for kind in kinds for step in (0, 1)]
    assert not (tmp_path / "student").exists()


def test_says_what_is_about_to_be_trained(tmp_path, capsys):
    announce(job_at(tmp_path))
    assert capsys.readouterr().out == ("[distill_student] image tower: image tower, 300 steps of 64 pairs\n")
