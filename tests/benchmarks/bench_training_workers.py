"""Two workers with one core each against one: alignment by Ray Train, as align_student runs it.

    python -m tests.benchmarks.bench_training_workers [--student nano] [--batches 32 64 128] [--steps 12]

A batch size counts the rows of all workers, so two workers take half of each batch; each is held to a core
of its own and computes with one thread. Pairs a second are the median over a phase's steps. `gather ms` is
what it costs in each step to show the contrast the rows of all workers: its forward and backward pass with
the exchange, less the same on rows copied on the spot. `peak MB` is a worker's resident memory at most,
libraries and decoded pictures in it; batch sizes run in ascending order in one process. The figure is that
of the middle batch size.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from infra.store import read_json, write_json
from pipelines.recipes import BOTH_TOWERS
from tests.benchmarks.generated_pairs import WIDTH, generated_student, write_pairs
from training.job import STUDENT, TrainingJob, read_curve
from training.objectives import evaluate_terms
from training.objectives.context import LANGUAGES, Context
from training.ray_edge import Session, fit, ray_session
from training.settings import Phase
from training.towers import gather

WORLDS = (1, 2)
NUM_EXCHANGES = 20


@dataclass(frozen=True)
class Task:
    """What every worker does: the job with each of these phases, one after another."""

    job: TrainingJob
    phases: tuple[Phase, ...]


def main(arguments: list[str] | None = None) -> None:
    """Generate, train with one worker and with two, print."""
    options = parse(arguments)
    phases = [phase_of(batch, options.warmup + options.steps) for batch in sorted(options.batches)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_pairs(folder, options.pairs, side=128, width=WIDTH, pairs_per_shard=max(1, options.pairs // 4))
        generated_student(options.student, WIDTH).save(folder / STUDENT)
        train_by(WORLDS, phases, folder)
        print(" workers  batch  pairs/s  step ms  gather ms  share  peak MB")
        ran = [(world, phase) for world in WORLDS for phase in phases]
        paces = {(world, phase.name): report(folder, world, phase, options.warmup) for world, phase in ran}
    middle = phases[len(phases) // 2].name
    one, two = (paces[world, middle] for world in WORLDS)
    print(f"figure two_workers_vs_one {two / one:.2f}")


def train_by(worlds: tuple[int, ...], phases: list[Phase], folder: Path) -> None:
    """Run the phases by so many workers each, below `folder/workers1` and so on."""
    with ray_session(""):
        for world in worlds:
            job = job_of(folder, world)
            fit(work, Task(job, tuple(phases)), num_workers=world, use_gpu=False, place=job.place)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="nano")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2_000)
    return parser.parse_args(arguments)


def phase_of(batch_size: int, num_steps: int) -> Phase:
    """The recipes' alignment on pairs alone, so without what it learns from texts beside them."""
    terms = {name: weight for name, weight in BOTH_TOWERS.terms.items() if name != "text_affinity"}
    sizes = {"batch_size": batch_size, "num_steps": num_steps}
    return replace(BOTH_TOWERS, name=str(batch_size), data="pairs", terms=terms, **sizes)


def job_of(folder: Path, world: int) -> TrainingJob:
    """A job that takes no checkpoints."""
    return TrainingJob(
        step=f"{world} workers",
        embedded=folder / "embedded",
        selection=folder / "selection",
        place=folder / f"workers{world}",
        width=WIDTH,
        phases=(),
        start=folder / STUDENT,
        checkpoint_seconds=float("inf"),
    )


def work(task: Task, session: Session) -> None:
    """Train each phase, and leave beside its curve what this worker saw."""
    from training.worker import train

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[session.rank % len(cores)]})
    for phase in task.phases:
        place = task.job.place / phase.name
        place.mkdir(parents=True, exist_ok=True)
        train(replace(task.job, place=place, phases=(phase,)), session)
        rows = max(1, phase.batch_size // session.world)
        seconds = contrast_seconds(rows, gather) - contrast_seconds(rows, copied(session.world))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        write_json(place / f"rank{session.rank}.json", {"gather_seconds": seconds, "peak_bytes": peak})


def copied(world: int) -> Callable[[Tensor], Tensor]:
    """As many rows as there are in all workers, without asking them."""
    return lambda rows: torch.cat([rows] * world)


def contrast_seconds(num_rows: int, exchange: Callable[[Tensor], Tensor]) -> float:
    """Seconds of the contrast, there and back; the median of many, all workers at the same time."""
    taken = []
    for _ in range(NUM_EXCHANGES):
        given = {name: torch.randn(num_rows, WIDTH, requires_grad=True) for name in ("image", *LANGUAGES)}
        units = {name: normalize(rows, dim=1) for name, rows in given.items()}
        batch = {f"has_{lang}": torch.ones(num_rows) for lang in LANGUAGES}
        start = time.perf_counter()
        at = Context({**units, "scale": torch.tensor(20.0)}, batch, exchange)
        evaluate_terms({"contrastive": 1.0}, at)[0].backward()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def report(folder: Path, world: int, phase: Phase, num_warmup: int) -> float:
    """Print a row of the table; returns pairs a second."""
    place = folder / f"workers{world}" / phase.name
    points = [point["rows_per_second"] for point in read_curve(place) if point["step"] >= num_warmup]
    pace = statistics.median(points)
    ranks = [read_json(place / f"rank{rank}.json") for rank in range(world)]
    gathered, peak = (max(rank[name] for rank in ranks) for name in ("gather_seconds", "peak_bytes"))
    seconds = phase.batch_size / pace
    print(
        f"{world:>8} {phase.batch_size:>6} {pace:>8.1f} {seconds * 1e3:>8.1f} {gathered * 1e3:>10.2f} "
        f"{gathered / seconds:>6.1%} {peak / 2**20:>8.0f}"
    )
    return pace


if __name__ == "__main__":
    main()
