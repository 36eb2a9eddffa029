"""int8 against float32: bytes and speed of `small`, and what the demo's student loses on its exam.

    python -m tests.benchmarks.bench_export [--root out] [--student small] [--rounds 15] [--threads 1]

Size and speed need no training: `small` has random weights and a full token table, its convolutions are
calibrated on noise. Towers take turns, batches of 8, texts of 32 tokens; with one thread processor time is
counted, the way to compare on a machine that others use too, with more the clock. Accuracy is that of the
newest align_student below the root, exported anew and calibrated on its kept pairs, on the demo's exam;
without one that figure is left out. The last lines are `figure NAME VALUE`: megabytes of both int8 files,
points of top-1 lost (mean of both languages), ratios of medians.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from components.export_student import CALIBRATION_SHARDS, ExportStudent
from infra.store import DONE
from pipelines.demo import EXAM
from pipelines.students import STUDENTS
from tests.benchmarks.bench_student_speed import BATCH, LENGTH, WIDTH, settle
from training.calibration import calibration_pixels
from training.export import IMAGE, TEXT, export_towers
from training.job import STUDENT
from training.onnx_pair import compare_pair, read_sample
from training.quantize import int8_name, quantize_image_tower, quantize_text_tower
from training.student import Student, build_student, load_student
from training.tokenizer import train_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("out"))
    parser.add_argument("--student", default="small", choices=STUDENTS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        side = export_random(options.student, Path(folder))
        times = measure(Path(folder), side, options.rounds, options.threads)
        sizes = {kind: megabytes(Path(folder), kind) for kind in ("float32", "int8")}
    with tempfile.TemporaryDirectory() as folder:
        demo = demo_loss(options.root, Path(folder))
    report(options.student, times, sizes, demo)


class _FullVocabulary:
    """A small tokenizer that claims the shape's whole vocabulary: the token table has its true size."""

    def __init__(self, tokenizer, size: int):
        self.tokenizer, self.size = tokenizer, size

    def __len__(self) -> int:
        return self.size

    def __call__(self, *args, **kwargs):
        return self.tokenizer(*args, **kwargs)


def export_random(name: str, folder: Path) -> int:
    """Export a named student with random weights in both precisions; gives the side of its pictures."""
    shape = STUDENTS[name]
    tokenizer = train_tokenizer(["a lemon", "柠檬"], 1_000, shape.max_tokens)
    student: Student = build_student(shape, _FullVocabulary(tokenizer, shape.vocab_size), WIDTH)
    settle(student, shape.image_size)
    export_towers(student, folder)
    quantize_image_tower(folder / IMAGE, noise(16, shape.image_size))
    quantize_text_tower(folder / TEXT)
    return shape.image_size


def noise(num: int, side: int) -> np.ndarray:
    """Pictures of random pixels in [-1, 1], (num, 3, side, side)."""
    return np.random.default_rng(0).uniform(-1, 1, (num, 3, side, side)).astype(np.float32)


def names_of(kind: str) -> dict[str, str]:
    """File by tower."""
    names = {"images": IMAGE, "texts": TEXT}
    return names if kind == "float32" else {tower: int8_name(name) for tower, name in names.items()}


def megabytes(folder: Path, kind: str) -> float:
    """Of both towers' files."""
    return sum((folder / name).stat().st_size for name in names_of(kind).values()) / 2**20


def measure(folder: Path, side: int, rounds: int, threads: int) -> dict[tuple[str, str], float]:
    """Median milliseconds of one image or text by (tower, kind); the towers take turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    tokens = np.tile(np.arange(LENGTH), (BATCH, 1))
    inputs = {
        "images": {"pixel_values": noise(BATCH, side)},
        "texts": {"input_ids": tokens, "attention_mask": np.ones_like(tokens)},
    }
    sessions = {
        (tower, kind): onnxruntime.InferenceSession(folder / name, options)
        for kind in ("float32", "int8")
        for tower, name in names_of(kind).items()
    }
    clock = time.thread_time if threads == 1 else time.perf_counter
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in sessions}
    for _ in range(rounds + 1):
        for (tower, kind), session in sessions.items():
            start = clock()
            session.run(None, inputs[tower])
            taken[tower, kind].append((clock() - start) / BATCH * 1_000)
    # The first round warms up.
    return {key: statistics.median(times[1:]) for key, times in taken.items()}


def demo_loss(root: Path, folder: Path) -> dict | None:
    """What int8 costs the newest student below the root, None without one."""
    student, embedded = (newest(root, step) for step in ("align_student", "embed_pairs"))
    exam = root / "corpus" / EXAM
    if not (student and embedded and exam.is_dir()):
        return None
    trained = load_student(student / STUDENT)
    export_towers(trained, folder)
    pixels = calibration_pixels(
        sorted(embedded.glob(CALIBRATION_SHARDS)), trained, ExportStudent.num_calibration
    )
    quantize_image_tower(folder / IMAGE, pixels)
    quantize_text_tower(folder / TEXT)
    return compare_pair(folder, trained, read_sample(exam), int8=True)["int8"]


def newest(root: Path, step: str) -> Path | None:
    """The last finished place of a step."""
    places = [path.parent for path in (root / "store" / step).glob(f"*/{DONE}")]
    return max(places, key=lambda place: (place / DONE).stat().st_mtime, default=None)


def report(
    name: str, times: dict[tuple[str, str], float], sizes: dict[str, float], demo: dict | None
) -> None:
    """Print the tables and the figures."""
    print(f"{name:<12}{'float32':>10}{'int8':>10}{'times':>8}")
    ratios = {tower: times[tower, "float32"] / times[tower, "int8"] for tower in ("images", "texts")}
    for tower, ratio in ratios.items():
        cells = "".join(f"{times[tower, kind]:10.2f}" for kind in ("float32", "int8"))
        print(f"ms of {tower:<6}{cells}{ratio:8.2f}")
    print(f"{'MB':<12}{sizes['float32']:10.1f}{sizes['int8']:10.1f}{sizes['float32'] / sizes['int8']:8.2f}")
    if demo:
        print(f"\n{'demo, top-1':<12}{'English':>10}{'Chinese':>10}")
        for kind, marks in demo["top1"].items():
            print(f"{kind:<12}{100 * marks['en']:9.1f}%{100 * marks['zh']:9.1f}%")
    else:
        print("\nno student below the root: accuracy is left out (`make run` makes one)")
    print(f"figure int8_megabytes {sizes['int8']:.1f}")
    if demo:
        print(f"figure int8_drop_points {demo['drop_points']:.2f}")
    print(f"figure int8_vs_fp32_images {ratios['images']:.2f}")
    print(f"figure int8_vs_fp32_texts {ratios['texts']:.2f}")


if __name__ == "__main__":
    main()
