"""Things to be timed take turns, so that other work on the machine meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Pace:
    """How to measure: `threads` that compute, and how long.

    With `cpu_time` it is the processor time of one thread, the way to compare on a machine that others use.
    Each thing is run for about `seconds`, but at least `fewest` and at most `most` times.
    """

    threads: int = 2
    cpu_time: bool = False
    seconds: float = 2.0
    fewest: int = 3
    most: int = 15

    def __post_init__(self):
        if self.cpu_time and self.threads != 1:
            raise ValueError("processor time is that of one thread: --cpu-time goes with --threads 1")

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds."""
        return time.thread_time if self.cpu_time else time.perf_counter


def median_seconds(runs: dict[Key, Callable[[], object]], pace: Pace) -> dict[Key, float]:
    """Median time of each after one run to warm up; what takes long has fewer turns, spread over all."""
    warm = {key: _seconds(run, pace.clock) for key, run in runs.items()}
    turns = {
        key: max(pace.fewest, min(pace.most, int(pace.seconds / max(taken, 1e-9))))
        for key, taken in warm.items()
    }
    times: dict[Key, list[float]] = {key: [] for key in runs}
    for number in range(max(turns.values())):
        for key, run in runs.items():
            if _has_turn(number, turns[key], max(turns.values())):
                times[key].append(_seconds(run, pace.clock))
    return {key: statistics.median(taken) for key, taken in times.items()}


def _has_turn(number: int, turns: int, rounds: int) -> bool:
    """Whether something with so many turns in all has one in this round."""
    return number * turns // rounds != (number + 1) * turns // rounds


def _seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
