"""Workers that die: their shard is done by another, or set aside when it costs too many."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.worker_pool import MAX_LOSSES, distribute, run

SHARDS = [(number, f"{number}.feather") for number in range(6)]


@dataclass(frozen=True)
class Toy:
    """Notes what is asked of it; dies by a signal in some shards, the first times."""

    notes: Path
    deaths: dict[int, int]
    deaths_aside: int = 0
    failures: int = 0

    def _note(self, what: str, number: int) -> int:
        with (self.notes / f"{what}-{number}").open("a") as stream:
            stream.write(".")
            return stream.tell()

    def __call__(self, shard):
        number = shard[0]
        if self._note("asked", number) <= self.deaths.get(number, 0):
            os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV)[number % 2])
        return (self._note("answered", number) > self.failures, shard)

    def set_aside(self, shard):
        if self._note("aside", shard[0]) <= self.deaths_aside:
            os.kill(os.getpid(), signal.SIGKILL)
        return (True, shard)

    def counts(self, what: str) -> dict[int, int]:
        """How often what was noted, by shard."""
        files = self.notes.glob(f"{what}-*")
        return {int(file.name.split("-")[1]): file.stat().st_size for file in files}


@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_shard_whose_worker_dies_is_done_by_another(tmp_path, num_workers):
    toy = Toy(tmp_path, deaths={1: 1, 4: MAX_LOSSES - 1})
    assert run(num_workers, toy, SHARDS) == []
    assert toy.counts("asked") == {0: 1, 1: 2, 2: 1, 3: 1, 4: MAX_LOSSES, 5: 1}
    assert toy.counts("answered") == dict.fromkeys(range(6), 1)
    assert toy.counts("aside") == {}


def test_a_shard_that_costs_too_many_is_set_aside(tmp_path):
    toy = Toy(tmp_path, deaths={2: 99})
    assert run(2, toy, SHARDS) == []
    assert toy.counts("asked")[2] == MAX_LOSSES
    assert toy.counts("aside") == {2: 1}
    assert len(toy.counts("answered")) == 5


def test_a_shard_that_cannot_be_set_aside_has_failed(tmp_path):
    toy = Toy(tmp_path, deaths={2: 99}, deaths_aside=99)
    assert run(2, toy, SHARDS) == [SHARDS[2]]


def test_a_shard_that_could_not_be_written_is_tried_again(tmp_path):
    toy = Toy(tmp_path, deaths={}, failures=1)
    distribute(2, toy, SHARDS, None, 1)
    assert toy.counts("answered") == dict.fromkeys(range(6), 2)


def test_no_shards_start_no_worker(tmp_path):
    assert run(2, None, []) == []
