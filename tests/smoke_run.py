"""`dcclip run` on the smoke recipe as a person types it, for tests, and a finished run at another place."""

import contextlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

from pipelines.resolve import STEPS
from tests.planted_secrets import PLANTED


def is_free(port: int) -> bool:
    """Whether no one listens on a port of this machine; another suite may be running."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


# The corpus names it, so results of another port are others.
PORT = next(filter(is_free, range(18765, 18865)))


def command(root: Path, *overrides: str, recipe: str = "smoke", pipeline: str = "dcclip-full") -> list[str]:
    """The command line."""
    options = [part for item in (f"corpus.port={PORT}", *overrides) for part in ("--set", item)]
    return [
        str(Path(sys.executable).with_name("dcclip")),
        "run",
        "--root",
        str(root),
        "--recipe",
        recipe,
        "--pipeline",
        pipeline,
        *options,
    ]


def dcclip_run(root: Path, *overrides: str, pipeline: str = "dcclip-full") -> str:
    """What a run prints, with secrets in its environment; a failure shows it."""
    words, environment = command(root, *overrides, pipeline=pipeline), {**os.environ, **PLANTED}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def steps_run(printed: str) -> list[str]:
    """The steps that worked, in order; those found done are left out."""
    return [step for step in STEPS if re.search(rf"{step} +starts", printed)]


def copy_root(root: Path, to: Path) -> None:
    """A finished run once more, with its registry; its logs stay behind.

    Steps do not find it done, as the places of the lists are among their values; a version grows from it.
    """
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("runs", "mlflow.db"))
    old, new = (contextlib.closing(sqlite3.connect(folder / "mlflow.db")) for folder in (root, to))
    with old as registry, new as copy:
        copy.executescript("\n".join(registry.iterdump()).replace(str(root), str(to)))
