"""One run at a time works at a place on a disk: another that comes there waits, and then finds it done.

The lock is a process's own (POSIX, by the kernel or the volume's server): it ends with the process, however
that ends, and what the process has started does not hold it on. In object storage each attempt has a prefix
of its own instead (infra/places.py).
"""

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path

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
    with (locks / f"{step}-{place.name}").open("a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            say(step, f"another run works at {place}; waiting for it")
            fcntl.lockf(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            say(step, f"no locks on this volume: let no two runs work at {place} at once")
        yield
