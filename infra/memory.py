"""Peak memory of a step: this process and all it started, shared pages counted once."""

import contextlib
import threading
import time
from collections.abc import Iterator

import psutil


def tree_bytes() -> int:
    """Proportional set size of this process and its descendants (resident size where PSS is unknown)."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


# The kernel walks every page of a process to share them out: tens of milliseconds for a large tree.
MAX_SHARE = 0.02


class PeakMemory:
    """Samples `tree_bytes` in a thread; `.megabytes` holds the largest seen so far.

    A sample is taken every `every_seconds`, or less often where samples would take more than `MAX_SHARE`
    of a core.
    """

    def __init__(self, every_seconds: float = 1.0):
        self.megabytes = 0.0
        self._every_seconds = every_seconds
        self._stop = threading.Event()

    def _watch(self) -> None:
        pause = self._every_seconds
        while not self._stop.wait(pause):
            start = time.thread_time()
            self.megabytes = max(self.megabytes, tree_bytes() / 2**20)
            pause = max(self._every_seconds, (time.thread_time() - start) / MAX_SHARE)

    @contextlib.contextmanager
    def watching(self) -> Iterator["PeakMemory"]:
        """Sample while the body runs, and once at its end."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.megabytes = max(self.megabytes, tree_bytes() / 2**20)
            self._stop.set()
            thread.join()
