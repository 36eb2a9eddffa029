"""The project's training loop against open_clip's: the same student, objective, batches and pictures.

    python -m tests.benchmarks.bench_training_open_clip [--students nano tiny] [--batch 64] [--steps 20]

Generated pairs with English captions lie on disk twice, as img2dataset leaves them for open_clip and as
embed_pairs leaves them for us. Both train a student of the same shape by symmetric InfoNCE, each in a
process of its own with one thread that computes and one (open_clip: a process) that decodes, and take
turns. A picture is seen once, so neither gains by remembering it. open_clip pads texts to the student's
full length, as its tokenizers do; we pad to the longest of a batch. `--only-ours` leaves open_clip out.
`--cpu-time` counts all processor time of a loop, its decoding too.

open_clip_torch 3.3.0 and what it needs are installed into `--packages` on first use, away from the
project's environment. Where that fails, a line says so and there is no figure.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.generated_pairs import WIDTH, generated_student, write_pairs

OURS, THEIRS = "loop_dcclip", "loop_open_clip"
# What it says it needs, but for what the project's environment has; its own webdataset is an older one.
PACKAGES = ("open_clip_torch==3.3.0", "torchvision==0.29.2", "timm==1.0.31", "webdataset==0.2.86")


def main(arguments: list[str] | None = None) -> None:
    """Install, generate, train in turns, print."""
    options = parse(arguments)
    names = (OURS,) if options.only_ours or not installed(options.packages) else (OURS, THEIRS)
    figures = {}
    print(f"{'student':>8} {'loop':>16} {'pairs/s':>9}   (medians of {options.rounds})")
    for student in options.students:
        paces = measure(student, names, options)
        for name in names:
            print(f"{student:>8} {name:>16} {statistics.median(paces[name]):>9.1f}")
        if THEIRS in names:
            ratios = [ours / theirs for ours, theirs in zip(paces[OURS], paces[THEIRS], strict=True)]
            figures[student] = statistics.median(ratios)
    for number, (student, ratio) in enumerate(figures.items()):
        print(f"figure loop_vs_open_clip{f'_{student}' if number else ''} {ratio:.2f}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", default=["nano", "tiny"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--packages", type=Path, default=Path("out/bench/open_clip"))
    parser.add_argument("--cpu-time", action="store_true", help="processor time, not the clock's")
    parser.add_argument("--only-ours", action="store_true", help="leave open_clip out")
    return parser.parse_args(arguments)


def installed(folder: Path) -> bool:
    """Whether open_clip is in `folder`, after an attempt to put it there."""
    if (folder / "open_clip_train").is_dir():
        return True
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--no-deps", "--target", folder, *PACKAGES], capture_output=True, text=True
    )
    if done.returncode:
        print(f"no open_clip, no figure loop_vs_open_clip: {(done.stderr.splitlines() or ['?'])[-1]}")
    return not done.returncode


def measure(student: str, loops: tuple[str, ...], options: argparse.Namespace) -> dict[str, list[float]]:
    """Pairs a second of each loop in each round."""
    paces: dict[str, list[float]] = {loop: [] for loop in loops}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = generated_student(student, WIDTH)
        made.save(folder / "student")
        write_pairs(
            folder, options.batch * options.steps, side=256, width=WIDTH, languages=("en",), with_raw=True
        )
        for _ in range(options.rounds):
            for loop in loops:
                paces[loop].append(run(loop, folder, options))
    return paces


def run(loop: str, folder: Path, options: argparse.Namespace) -> float:
    """Pairs a second of a loop in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    clock = "cpu" if options.cpu_time else "wall"
    sizes = (folder, options.batch, options.steps, options.warmup, clock, options.packages.resolve())
    command = [sys.executable, "-m", f"tests.benchmarks.{loop}", *map(str, sizes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stderr}\n{loop} failed, see above")
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
