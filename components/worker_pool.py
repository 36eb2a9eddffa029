"""The processes that crawl, in place of img2dataset's pool, which waits for ever for one that was killed.

`distribute` gives each worker a shard at a time. When a worker ends before its shard does, another one takes
the shard, at most `MAX_LOSSES` times; then its rows are written with a reason and without pictures. Workers
end with this process.
"""

import contextlib
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from infra.console import say

Shard = tuple[int, str]
MAX_LOSSES = 3
# A worker that has done so many shards makes room for a new one: what it leaks ends with it.
SHARDS_PER_WORKER = 20


class Downloader(Protocol):
    """img2dataset's, with a way to set a shard aside."""

    def __call__(self, shard: Shard) -> tuple[bool, Shard]:
        """Download a shard; whether it was written."""

    def set_aside(self, shard: Shard) -> tuple[bool, Shard]:
        """Write the shard's rows as failed."""


@dataclass
class Worker:
    """A process and the shard it has, None for none."""

    process: BaseProcess
    connection: Connection
    shard: Shard | None = None
    num_shards: int = 0

    def give(self, shard: Shard, is_lost: bool) -> None:
        """Start a shard; `is_lost` when it has cost too many workers."""
        self.shard, self.num_shards = shard, self.num_shards + 1
        with contextlib.suppress(BrokenPipeError):  # it is dead, which `taken` finds
            self.connection.send((shard, is_lost))

    def taken(self) -> bool | None:
        """Whether the shard was written; None when the worker is dead."""
        self.shard = None
        try:
            return self.connection.recv()[0]
        except (EOFError, ConnectionResetError):
            return None

    def stop(self) -> None:
        """End it."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def distribute(
    num_workers: int, downloader: Downloader, reader: Iterable[Shard], _: Any, max_retries: int
) -> None:
    """Have all shards downloaded; in place of img2dataset's `multiprocessing_distributor`."""
    failed = run(num_workers, downloader, reader)
    for _ in range(max_retries):
        if failed:
            failed = run(num_workers, downloader, failed)


def run(num_workers: int, downloader: Downloader, shards: Iterable[Shard]) -> list[Shard]:
    """Download shards; returns those that could not be written."""
    waiting, failed, losses = _Waiting(shards), [], Counter()
    with _workers(downloader) as start:
        idle: list[Worker] = []
        busy: list[Worker] = []
        while True:
            while len(busy) < num_workers and (shard := waiting.next()):
                worker = idle.pop() if idle else start()
                worker.give(shard, losses[shard] >= MAX_LOSSES)
                busy.append(worker)
            if not busy:
                return failed
            for worker in _finished(busy):
                busy.remove(worker)
                shard, written = worker.shard, worker.taken()
                if written is None:
                    losses[shard] += 1
                    _report(worker, shard, losses[shard])
                # One that cannot even be set aside is not tried for ever.
                if written is None and losses[shard] <= MAX_LOSSES:
                    waiting.again.append(shard)
                elif not written:
                    failed.append(shard)
                if written is None or worker.num_shards >= SHARDS_PER_WORKER:
                    worker.stop()
                else:
                    idle.append(worker)


class _Waiting:
    """Shards still to do: those whose worker died first."""

    def __init__(self, shards: Iterable[Shard]):
        self.again: deque[Shard] = deque()
        self.shards = iter(shards)

    def next(self) -> Shard | None:
        return self.again.popleft() if self.again else next(self.shards, None)


def _finished(busy: list[Worker]) -> list[Worker]:
    """Waits for workers that have answered or are dead."""
    ready = wait([item for worker in busy for item in (worker.connection, worker.process.sentinel)])
    return [worker for worker in busy if worker.connection in ready or worker.process.sentinel in ready]


def _report(worker: Worker, shard: Shard, num_losses: int) -> None:
    worker.process.join()
    code = worker.process.exitcode
    why = signal.strsignal(-code) if code < 0 else f"exit {code}"
    done = "tried again" if num_losses < MAX_LOSSES else "set aside"
    say("download_pairs", f"the worker of shard {shard[0]} died ({why}); the shard is {done}")


@contextlib.contextmanager
def _workers(downloader: Downloader) -> Iterator[Callable[[], Worker]]:
    """A function that starts a worker; all of them end with the body."""
    context, started = get_context("spawn"), []

    def start() -> Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, downloader), daemon=True)
        process.start()
        theirs.close()
        started.append(Worker(process, ours))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.stop()


def _work(connection: Connection, downloader: Downloader) -> None:
    """A worker: shards in, answers out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError):
        while True:
            shard, is_lost = connection.recv()
            connection.send(downloader.set_aside(shard) if is_lost else downloader(shard))


def _end_with_parent() -> None:
    """A shard may take an hour, and nobody would read its answer."""
    wait([parent_process().sentinel])
    os._exit(1)
