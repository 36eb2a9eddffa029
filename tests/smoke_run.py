"""`dcclip run` on the smoke recipe as a person types it, for tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

from pipelines.resolve import STEPS
from tests.planted_secrets import PLANTED

PORT = 18765


def command(root: Path, *overrides: str, recipe: str = "smoke") -> list[str]:
    """The command line."""
    options = [part for item in (f"corpus.port={PORT}", *overrides) for part in ("--set", item)]
    return [
        str(Path(sys.executable).with_name("dcclip")),
        "run",
        "--root",
        str(root),
        "--recipe",
        recipe,
        *options,
    ]


def dcclip_run(root: Path, *overrides: str) -> str:
    """What a run prints, with secrets in its environment; a failure shows it."""
    environment = {**os.environ, **PLANTED}
    done = subprocess.run(
        command(root, *overrides), env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def steps_run(printed: str) -> list[str]:
    """The steps that worked, in order; those found done are left out."""
    return [step for step in STEPS if re.search(rf"{step} +starts", printed)]
