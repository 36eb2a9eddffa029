"""Leaves nothing running: adopts the orphans of a run and ends them all, and ends a step with its run.

Engines start processes that outlive the step that started them when it is killed. On Linux a subreaper
becomes the parent of such orphans, so one walk over its descendants finds them.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Set by a run on this machine for the steps that it starts: its process.
PARENT = "DCCLIP_PARENT"


def end_with_parent() -> None:
    """End when the run that has started this step ends, however that ends (Linux; elsewhere nothing happens).

    On a cluster nobody sets the variable: there a pod ends as a whole, and a launcher in Go may end the
    thread that started a process long before itself.
    """
    parent = os.environ.get(PARENT)
    if sys.platform != "linux" or parent is None or os.getppid() != int(parent):
        return
    signal.signal(signal.SIGTERM, _end_all)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        # It ended meanwhile.
        os.kill(os.getpid(), signal.SIGTERM)


def _end_all(signum: int, frame: object) -> None:
    """End what this process has started, then itself."""
    stop_descendants(grace_seconds=2.0)
    os._exit(128 + signum)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def stop_descendants(grace_seconds: float = 5.0) -> None:
    """End every descendant: asked first, killed after the grace."""
    alive = psutil.Process().children(recursive=True)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        _, alive = psutil.wait_procs(alive, timeout=grace_seconds)
        alive += [item for item in psutil.Process().children(recursive=True) if item not in alive]


@contextlib.contextmanager
def nothing_left_running() -> Iterator[None]:
    """Whatever ends the body (its end, an error, Ctrl-C, SIGTERM), its processes end too."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    adopt_orphans()
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        stop_descendants()
        signal.signal(signal.SIGTERM, before)
