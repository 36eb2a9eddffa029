"""The project's half of bench_training_open_clip: its loop over the embedded form of the same pairs.

    python -m tests.benchmarks.loop_dcclip FOLDER BATCH STEPS WARMUP CLOCK

FOLDER has `embedded/`, `selection/` and `student/`. CLOCK is `wall` or `cpu`. The last line is pairs a
second.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch

from tests.benchmarks.clocks import CLOCKS
from tests.benchmarks.generated_pairs import WIDTH
from tests.benchmarks.training_pace import open_batches, open_run, pairs_per_second
from training.settings import Phase
from training.student import load_student


def main() -> None:
    folder, batch, steps, warmup = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(measure(folder, batch, steps, warmup, CLOCKS[sys.argv[5]]))


def measure(folder: Path, batch: int, steps: int, warmup: int, clock: Callable[[], float]) -> float:
    """Pairs a second of stage 2's objective without a teacher's part in it."""
    student = load_student(folder / "student")
    phase = Phase(
        name="alignment",
        towers=("image", "text"),
        data="pairs",
        terms={"plain_contrastive": 1.0},
        num_steps=steps,
        batch_size=batch,
        learning_rate=1e-4,
        num_anchors=0,
    )
    batches = open_batches(phase, student, folder, WIDTH)
    return pairs_per_second(open_run(phase, student), batches, warmup, clock)


if __name__ == "__main__":
    main()
