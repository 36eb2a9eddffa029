"""What rank 0 tells of a phase while it runs: a bar, the loss curve's file, the same points in MLflow."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import TextIO

from infra.console import track
from infra.storage import AnyPath, StoragePath, StoredLines
from training.job import CURVE, TrainingJob
from training.settings import Phase
from training.tracking import LiveCurve

NUM_POINTS = 100


def open_lines(path: AnyPath) -> TextIO | StoredLines:
    """A file to add lines to, without the half line that a full disk has left at its end."""
    if isinstance(path, StoragePath):
        return StoredLines(path)
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)
    return path.open("a")


class Progress:
    """Takes the facts of every step, shows them, and keeps at most a hundred or so points a phase."""

    def __init__(self, job: TrainingJob, phase: Phase, first_step: int, live: LiveCurve):
        self.phase, self.live = phase, live
        self.bar = track(job.step, None, total=phase.num_steps, initial=first_step, desc=phase.name)
        self.file = open_lines(job.place / CURVE)
        self.every = max(1, phase.num_steps // NUM_POINTS)
        # Since the last point: when it was, at which step, and how long the device had waited by then.
        self.since = (time.monotonic(), first_step, 0.0)

    def add(self, step: int, facts: dict[str, float], waited_seconds: float) -> None:
        """Facts of one step; `waited_seconds` is all that this phase has waited for batches."""
        self.bar.set_postfix(loss=f"{facts['loss']:.3f}", refresh=False)
        self.bar.update()
        if step % self.every and step + 1 != self.phase.num_steps:
            return
        point = facts | self._pace(step + 1, waited_seconds)
        self.bar.set_postfix(
            loss=f"{facts['loss']:.3f}", rows_s=f"{point['rows_per_second']:.0f}", refresh=False
        )
        self.file.write(json.dumps({"phase": self.phase.name, "step": step, **point}) + "\n")
        self.file.flush()
        self.live.add(step, {f"{self.phase.name}/{name}": value for name, value in point.items()})

    def _pace(self, step: int, waited_seconds: float) -> dict[str, float]:
        """Rows of all workers a second, and the share of the time that the device waited for data."""
        now = time.monotonic()
        then, first, waited = self.since
        self.since = (now, step, waited_seconds)
        seconds = max(now - then, 1e-9)
        return {
            "rows_per_second": (step - first) * self.phase.batch_size / seconds,
            "data_wait_share": (waited_seconds - waited) / seconds,
        }

    def close(self) -> None:
        """Close bar and file."""
        self.bar.close()
        self.file.close()


class Silence:
    """What the other ranks tell: nothing."""

    def add(self, step: int, facts: dict[str, float], waited_seconds: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def progress(
    job: TrainingJob, phase: Phase, first_step: int, live: LiveCurve | None
) -> Iterator[Progress | Silence]:
    """The progress of a phase; without `live` (every rank but the first) it is silent."""
    teller = Progress(job, phase, first_step, live) if live else Silence()
    try:
        yield teller
    finally:
        teller.close()
