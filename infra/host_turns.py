"""Turns to ask a host: requests to it are spaced in time, over all threads and processes of this machine.

A file holds the time of the next free turn of each host, at a place given by the name's hash; whoever takes
a turn moves it on. Two names of one place wait for each other, so a bound may be kept too well, never broken.
Crawls that run at the same time share the file, and with it the bound.

Left out on purpose: several machines. Each keeps the bound by itself, so N of them ask a host N times as
often.
"""

import fcntl
import functools
import mmap
import os
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

# A million places in a sparse file of 8 MB; what counts is how many hosts are asked at the same time.
NUM_PLACES = 2**20
TURN = struct.Struct("d")
# Longer than any queue at a host; what says more is no turn that anyone has taken.
MAX_WAIT_SECONDS = 600.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class HostTurns:
    """Gives out turns from a file, at most `max_per_second` to one host."""

    def __init__(
        self,
        path: Path,
        max_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.ftruncate(self.file, NUM_PLACES * TURN.size)
        self.turns = mmap.mmap(self.file, NUM_PLACES * TURN.size)
        self.interval_seconds = 1 / max_per_second
        self.clock, self.sleep = clock, sleep
        # A lock on a file is a process's, not a thread's.
        self.threads = threading.Lock()

    def wait(self, host: str) -> float:
        """Sleep until it is our turn to ask the host; the seconds that took."""
        seconds = self._take(zlib.crc32(host.encode()) % NUM_PLACES * TURN.size)
        if seconds > 0:
            self.sleep(seconds)
        return seconds

    def _take(self, offset: int) -> float:
        """Seconds until the next free turn, which is then taken."""
        with self.threads:
            fcntl.lockf(self.file, fcntl.LOCK_EX, TURN.size, offset)
            try:
                now = self.clock()
                (free,) = TURN.unpack_from(self.turns, offset)
                turn = free if now <= free < now + MAX_WAIT_SECONDS else now
                TURN.pack_into(self.turns, offset, turn + self.interval_seconds)
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN, TURN.size, offset)
        return turn - now


def machine_turns(max_per_second: float) -> HostTurns:
    """The turns that all processes of this user on this machine share."""
    with _opening:
        return _opened(max_per_second)


# Closing a file opened twice would end the locks that the process has on it.
_opening = threading.Lock()


@functools.cache
def _opened(max_per_second: float) -> HostTurns:
    # The clock that nobody can set starts anew with the machine.
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "0"
    return HostTurns(Path(tempfile.gettempdir()) / f"dcclip-turns-{os.getuid()}-{boot}", max_per_second)
