"""Turns to ask a host, with a clock that stands still unless someone sleeps."""

import multiprocessing
import time

import pytest

from infra import host_turns
from infra.host_turns import HostTurns


class Clock:
    """Time passes in sleep only."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(tmp_path, clock) -> HostTurns:
    """Four a second."""
    return HostTurns(tmp_path / "turns", 4.0, clock, clock.sleep)


def test_requests_to_one_host_are_spaced(turns):
    assert [turns.wait("a.test") for _ in range(4)] == [0, 0.25, 0.25, 0.25]


def test_hosts_do_not_wait_for_each_other(turns):
    assert [turns.wait(f"{name}.test") for name in "abcabc"] == [0, 0, 0, 0.25, 0, 0]


def test_turns_that_nobody_took_are_not_saved_up(turns, clock):
    turns.wait("a.test")
    clock.now += 60
    assert [turns.wait("a.test") for _ in range(2)] == [0, 0.25]


def test_a_later_crawl_waits_for_the_turns_of_the_one_before(tmp_path, clock):
    before = HostTurns(tmp_path / "turns", 4.0, clock, clock.sleep)
    before.wait("a.test")
    assert HostTurns(tmp_path / "turns", 1.0, clock, clock.sleep).wait("a.test") == 0.25


def standing_still() -> float:
    return 0.0


def take_many(path) -> None:
    """Without waiting for any."""
    turns = HostTurns(path, 4.0, standing_still, lambda _: None)
    for _ in range(500):
        turns.wait("a.test")


def test_processes_take_different_turns(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=take_many, args=(tmp_path / "turns",)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    turns = HostTurns(tmp_path / "turns", 4.0, standing_still, lambda _: None)
    assert turns.wait("a.test") == 1_000 / 4


def test_a_process_opens_the_file_once_for_all_crawls(tmp_path, monkeypatch):
    monkeypatch.setattr(host_turns.tempfile, "gettempdir", lambda: str(tmp_path))
    host_turns._opened.cache_clear()
    assert host_turns.machine_turns(5.0) is host_turns.machine_turns(5.0)
    assert len(list(tmp_path.iterdir())) == 1
    host_turns._opened.cache_clear()


def test_the_clock_is_one_for_all_processes_and_crawls_and_nobody_sets_it(tmp_path):
    assert HostTurns(tmp_path / "turns", 4.0).clock is time.monotonic


@pytest.mark.parametrize("stored", [1e9, float("inf"), float("nan"), -1e9])
def test_a_turn_that_nobody_can_have_taken_is_not_waited_for(turns, stored):
    for offset in range(0, len(turns.turns), host_turns.TURN.size * 4096):
        host_turns.TURN.pack_into(turns.turns, offset, stored)
    offset = host_turns.zlib.crc32(b"a.test") % host_turns.NUM_PLACES * host_turns.TURN.size
    host_turns.TURN.pack_into(turns.turns, offset, stored)
    assert [turns.wait("a.test") for _ in range(2)] == [0, 0.25]
