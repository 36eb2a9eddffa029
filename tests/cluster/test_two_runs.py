"""Two runs of one recipe at once: one works, the other waits for it and takes its result."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from infra.store import read_done
from pipelines.local import _new_folder

# A step that writes two files by its own name, and waits for a word between them.
RUN = """
import json, sys
from pathlib import Path
from dataclasses import dataclass
from kfp import dsl
from components.reference import read_reference
from components.step import run_step
from infra.store import read_done

@dataclass(frozen=True)
class Toy:
    seed: int = 0

def work(config, place, engines):
    (place / f"first-{sys.argv[2]}").touch()
    print("half", flush=True)
    word = sys.stdin.readline()
    (place / f"second-{sys.argv[2]}").touch()
    return {"by": sys.argv[2]}

output = dsl.Dataset(uri=f"{sys.argv[1]}-{sys.argv[2]}")
config = {"values": {"seed": 0}, "code": "c", "root": sys.argv[1], "engines": {}}
run_step("toy", work, Toy, config, {}, output)
address = read_reference(output).address
print(json.dumps(read_done(Path(address)) | {"reused": bool(output.metadata["reused"])}))
"""


def start(root: Path, name: str) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, str(root), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen, text: str) -> str:
    """The first line with this text."""
    return next(line for line in process.stdout if text in line)


@pytest.fixture
def both(tmp_path):
    """(one that is half-way, one that waits for it)."""
    one = start(tmp_path, "one")
    read_until(one, "half")
    other = start(tmp_path, "other")
    line = read_until(other, "another run works at")
    assert f"(process {one.pid} on {platform.node()} since 20" in line
    yield one, other
    for process in (one, other):
        process.kill()
        process.communicate()


def test_the_second_takes_the_result_of_the_first(both, tmp_path):
    one, other = both
    assert '"by": "one"' in one.communicate("go\n")[0]
    printed = other.communicate()[0]
    assert "[toy] already done, nothing to do" in printed
    assert '"by": "one"' in printed and '"reused": true' in printed
    (place,) = (tmp_path / "toy").iterdir()
    assert sorted(item.name for item in place.iterdir()) == ["done.json", "first-one", "second-one"]


def test_the_second_goes_on_where_the_first_was_killed(both, tmp_path):
    one, other = both
    one.kill()
    read_until(other, "half")
    assert '"by": "other"' in other.communicate("go\n")[0]
    (place,) = (tmp_path / "toy").iterdir()
    assert read_done(place)["facts"] == {"by": "other"}


def test_two_runs_of_one_second_have_a_log_each(tmp_path):
    folders = [_new_folder(tmp_path / "runs", "20261122-053452") for _ in range(3)]
    assert [item.name for item in folders] == [f"20261122-053452{end}" for end in ("", "-2", "-3")]
    assert all(item.is_dir() for item in folders)
