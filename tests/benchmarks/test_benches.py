"""The benchmarks of training still run and print their figures, at sizes where the figures mean nothing."""

import contextlib
import os
import re

import pytest
import torch
import torch.distributed as dist

from tests.benchmarks import (
    bench_scale,
    bench_training_growth,
    bench_training_open_clip,
    bench_training_teacher,
    bench_training_workers,
)
from training.ray_edge import Session


@pytest.fixture(autouse=True)
def settings():
    """What the benchmarks set for their process is set back."""
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    yield
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)


def figures(printed: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^figure (\S+) (\S+)$", printed, re.M)}


def test_stored_vectors_against_a_teacher_in_the_loop(capsys):
    sizes = "--batch 2 --stored-steps 1 --online-steps 1 --teacher-layers 1"
    bench_training_teacher.main(["--student", "nano", *sizes.split()])
    found = figures(capsys.readouterr().out)
    assert list(found) == ["stored_vs_online_teacher"]
    assert min(found.values()) > 0


def test_growth_of_the_data_path(spark, capsys):
    bench_scale.main(["--quick"])
    printed = capsys.readouterr().out
    found = figures(printed)
    for name in bench_scale.STEPS:
        assert len(re.findall(rf"^{name} +[12],000 ", printed, re.M)) == 2
        assert found[f"growth_{name}_10x"] > 0
        assert found[f"bytes_read_per_byte_stored_{name}"] > 0
    assert min(found["driver_megabytes_2k"], found["driver_megabytes_1k"]) > 0
    assert found["bytes_shuffled_a_row_select_pairs"] > 0


def test_growth_with_the_number_of_pairs(capsys):
    sizes = "--few 1000 --pairs 2000 --pairs-per-shard 250 --measured 200 --batch 50 --rounds 1"
    bench_training_growth.main(sizes.split())
    found = figures(capsys.readouterr().out)
    assert list(found) == ["growth_2k_vs_1k"]
    assert min(found.values()) > 0


def test_our_half_of_the_race_with_open_clip(capsys):
    sizes = "--students nano --batch 4 --steps 2 --warmup 1 --rounds 1"
    bench_training_open_clip.main([*sizes.split(), "--only-ours"])
    printed = capsys.readouterr().out
    assert float(re.search(r"nano +loop_dcclip +(\S+)", printed)[1]) > 0
    assert not figures(printed)


def one_of(rank: int, worker, task, world: int, folder) -> None:
    """What a worker of `fit_without_ray` does."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=world)
    worker(task, Session(rank, world, torch.device("cpu"), print, None))


def fit_without_ray(worker, task, *, num_workers: int, use_gpu: bool, place) -> None:
    """As `fit`, in a fraction of the time."""
    place.mkdir(exist_ok=True)
    arguments = (worker, task, num_workers, place)
    if num_workers == 1:
        one_of(0, *arguments)
    else:
        torch.multiprocessing.spawn(one_of, arguments, nprocs=num_workers)


def test_two_workers_against_one(capsys, monkeypatch):
    monkeypatch.setattr(bench_training_workers, "fit", fit_without_ray)
    monkeypatch.setattr(bench_training_workers, "ray_session", contextlib.nullcontext)
    sizes = "--student nano --batches 4 8 --steps 1 --warmup 1 --pairs 16"
    bench_training_workers.main(sizes.split())
    printed = capsys.readouterr().out
    found = figures(printed)
    assert list(found) == ["two_workers_vs_one"]
    assert min(found.values()) > 0
    rows = re.findall(r"^ +([12]) +([48]) +\S+ +\S+ +\S+ +\S+% +(\d+)$", printed, re.M)
    assert [row[:2] for row in rows] == [("1", "4"), ("1", "8"), ("2", "4"), ("2", "8")]
    assert all(int(peak) > 100 for *_, peak in rows)
