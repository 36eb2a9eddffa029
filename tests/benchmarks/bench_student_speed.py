"""Images and texts a second of the named students in ONNX Runtime against Chinese-CLIP RN50's towers.

    python -m tests.benchmarks.bench_student_speed [--students small small_vit] [--rounds 15] [--cpu-time]

All towers have random weights in float32, batches of 8, texts of 32 tokens, and take turns in one process.
The token table's size costs no time, so it is left small. `--cpu-time` counts processor time of one thread
instead of the clock with `--threads`: the way to compare on a machine that others use too. The last lines
are `figure NAME VALUE`, ratios of medians.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from pipelines.students import STUDENTS
from tests.benchmarks import chinese_clip_rn50
from training.export import IMAGE, TEXT, export_towers
from training.student import Student, build_student, image_vectors
from training.tokenizer import train_tokenizer

BASELINE, BATCH, LENGTH, WIDTH = "chinese_clip_rn50", 8, 32, 768
Run = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=STUDENTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    threads, clock = (1, time.thread_time) if options.cpu_time else (options.threads, time.perf_counter)
    with tempfile.TemporaryDirectory() as folder:
        runs = baseline_runs(Path(folder), threads)
        for name in options.students:
            runs |= student_runs(name, Path(folder), threads)
    report(measure(runs, options.rounds, clock), options.students)


def baseline_runs(folder: Path, threads: int) -> dict[tuple[str, str], Run]:
    """Chinese-CLIP RN50's towers, ready to run a batch."""
    image, text = chinese_clip_rn50.ImageTower(), chinese_clip_rn50.TextTower()
    tokens = torch.ones(BATCH, LENGTH, dtype=torch.long)
    options = {"dynamo": False, "output_names": ["vectors"]}
    pixels = torch.zeros(BATCH, 3, chinese_clip_rn50.IMAGE_SIZE, chinese_clip_rn50.IMAGE_SIZE)
    torch.onnx.export(image.eval(), (pixels,), folder / IMAGE, input_names=["pixel_values"], **options)
    names = ["input_ids", "attention_mask"]
    torch.onnx.export(text.eval(), (tokens, tokens), folder / TEXT, input_names=names, **options)
    return runs_of(BASELINE, folder, chinese_clip_rn50.IMAGE_SIZE, threads)


def student_runs(name: str, folder: Path, threads: int) -> dict[tuple[str, str], Run]:
    """A named student's towers, exported as export_student does, ready to run a batch."""
    shape = STUDENTS[name]
    student = build_student(shape, train_tokenizer(["a lemon", "柠檬"], 1_000, shape.max_tokens), WIDTH)
    settle(student, shape.image_size)
    export_towers(student, folder)
    return runs_of(name, folder, shape.image_size, threads)


@torch.no_grad()
def settle(student: Student, side: int) -> None:
    """Show it pictures, or an untrained EfficientNet computes in denormal numbers, which take longer."""
    for module in student.model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    image_vectors(student.model, torch.rand(4, 3, side, side) * 2 - 1)


def runs_of(name: str, folder: Path, side: int, threads: int) -> dict[tuple[str, str], Run]:
    """(tower, name) to a function that runs a batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    pixels = np.random.default_rng(0).uniform(-1, 1, (BATCH, 3, side, side)).astype(np.float32)
    tokens = np.ones((BATCH, LENGTH), np.int64)
    inputs = {
        "image": {"pixel_values": pixels},
        "text": {"input_ids": tokens, "attention_mask": tokens},
    }
    runs = {}
    for tower, given in inputs.items():
        # From bytes: the next student is exported to the same names.
        session = onnxruntime.InferenceSession((folder / f"{tower}.onnx").read_bytes(), options)
        runs[tower, name] = lambda session=session, given=given: session.run(None, given)
    return runs


def measure(
    runs: dict[tuple[str, str], Run], rounds: int, clock: Callable[[], float]
) -> dict[tuple[str, str], float]:
    """Median milliseconds of one image or text; the towers take turns."""
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for _ in range(rounds + 1):
        for key, run in runs.items():
            start = clock()
            run()
            taken[key].append((clock() - start) / BATCH * 1_000)
    return {key: statistics.median(times[1:]) for key, times in taken.items()}


def report(taken: dict[tuple[str, str], float], students: list[str]) -> None:
    """Print the table and the figures."""
    print(f"{'':20}{'image ms':>10}{'times':>8}{'text ms':>10}{'times':>8}")
    for name in (BASELINE, *students):
        cells = [
            cell
            for tower in ("image", "text")
            for cell in (f"{taken[tower, name]:10.2f}", f"{taken[tower, BASELINE] / taken[tower, name]:8.2f}")
        ]
        print(f"{name:20}{''.join(cells)}")
    for name in students:
        for tower in ("image", "text"):
            ratio = taken[tower, BASELINE] / taken[tower, name]
            print(f"figure {name}_{tower}s_per_second_vs_chinese_clip_rn50 {ratio:.2f}")


if __name__ == "__main__":
    main()
