"""One run at a time works at a place on a disk: another that comes there waits, and then finds it done.

The lock is a process's own (POSIX, by the kernel or the volume's server): it ends with the process, however
that ends, and what the process has started does not hold it on. In object storage each attempt has a prefix
of its own instead (infra/places.py).
"""

import contextlib
import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from infra.console import say

LOCKS = ".locks"
# What file systems answer that have no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def alone_at(place: Path, step: str) -> Iterator[None]:
    """Hold a place; waits for the run that works there."""
    locks = place.parent.parent / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    # Closing the file, as every end of the process does, gives the lock back.
    with (locks / f"{step}-{place.name}").open("a+") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            say(step, f"another run works at {place}{_holder(lock)}; waiting for it")
            fcntl.lockf(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            say(step, f"no locks on this volume: let no two runs work at {place} at once")
        _sign(lock)
        yield


def _sign(lock: TextIO) -> None:
    """Write who holds it, for those who wait; on a full disk nobody is told."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    with contextlib.suppress(OSError):
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()} since {since}")
        lock.flush()


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    who = lock.read(200)
    return f" ({who})" if who else ""
