"""How many pairs a second a phase trains, by the project's loop on the project's batches."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from training.batches import BatchSource
from training.loop import PhaseRun
from training.prefetch import Prefetched
from training.settings import Phase
from training.sources import DataSources
from training.student import Student


def open_batches(phase: Phase, student: Student, folder: Path, width: int) -> BatchSource:
    """Batches of the generated pairs below `folder`, decoded by one thread."""
    side = student.image_processor.size["height"]
    sources = DataSources(folder / "embedded", folder / "selection", width, side)
    return BatchSource(phase, sources, student.tokenizer, seed=0)


def open_run(phase: Phase, student: Student) -> PhaseRun:
    """The phase, as a worker begins it."""
    model = student.model.train().to(memory_format=torch.channels_last)
    return PhaseRun(phase, model, seed=0)


def pairs_per_second(
    run: PhaseRun,
    batches: BatchSource,
    num_warmup: int,
    clock: Callable[[], float] = time.perf_counter,
    targets: Callable[[dict], dict] | None = None,
) -> float:
    """Of all steps of the phase but the first few; `targets(batch)` are made in the loop, before a step."""
    start = 0.0
    for step, batch in Prefetched(batches, range(run.phase.num_steps)):
        if step == num_warmup:
            start = clock()
        run.take_step({**batch, **(targets(batch) if targets else {})})
    num_pairs = (run.phase.num_steps - num_warmup) * run.phase.batch_size
    return num_pairs / (clock() - start)
