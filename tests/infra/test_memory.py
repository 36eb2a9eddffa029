"""Peak memory: a child's pages count, and the peak stays when the child has gone."""

import subprocess
import sys
import time

from infra.memory import PeakMemory, tree_bytes

HOLD = "pages = bytearray(b'x') * (200 * 2**20); print('held', flush=True); input()"


def start_child() -> subprocess.Popen:
    """A process that holds 200 MB until it is told to end."""
    child = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    return child


def test_memory_of_a_child_counts():
    before = tree_bytes()
    child = start_child()
    held = tree_bytes() - before
    child.communicate(b"\n")
    assert held > 180 * 2**20


def test_the_peak_stays_when_the_child_has_gone():
    before = tree_bytes() / 2**20
    with PeakMemory(every_seconds=0.01).watching() as peak:
        child = start_child()
        while peak.megabytes < before + 180 and child.poll() is None:
            time.sleep(0.01)
        child.communicate(b"\n")
    assert peak.megabytes > before + 180


def test_a_body_shorter_than_a_sample_is_measured():
    with PeakMemory(every_seconds=3600).watching() as peak:
        pass
    assert peak.megabytes > 1
