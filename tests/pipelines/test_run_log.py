"""A run's output: what cannot be written is lost, and never the run."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.run_log import Console, open_log


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, text: str = "") -> int:
        raise OSError(28, "No space left on device")

    flush = write


def test_a_full_disk_costs_the_log_and_is_said_once():
    terminal = io.StringIO()
    console = Console(terminal, Full())
    for number in range(3):
        console.write(f"[filter_pairs] line {number}\n")
    console.flush()
    lines = terminal.getvalue().splitlines()
    assert [line.split()[-1] for line in lines if "line" in line] == ["0", "1", "2"]
    assert sum("the log cannot be written and has gaps" in line for line in lines) == 1


def test_a_terminal_that_is_gone_costs_nothing():
    log = io.StringIO()
    console = Console(Full(), log)
    console.write("[filter_pairs] line\nplain\n")
    console.flush()
    assert log.getvalue() == "[filter_pairs] line\nplain\n"


def test_a_log_is_closed_though_its_end_cannot_be_written():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open_log(Path("/dev/full")) as log:
        console = Console(io.StringIO(), log)
        console.write("x" * 100_000)


SCRIPT = """
import sys, io
from pipelines.run_log import Console
console = Console(sys.stdout, io.StringIO())
for number in range(20_000):
    console.write(f"[filter_pairs] line {number}\\n")
print("to the end", file=sys.stderr)
"""


def test_who_reads_only_the_head_of_the_output_stops_nothing():
    """`dcclip run | head` waited without end."""
    command = f"{sys.executable} -c '{SCRIPT}' | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr == "to the end\n"
