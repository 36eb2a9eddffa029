"""What a step says to the person who waits: short lines marked with the step's name.

Engines write long logs to the same streams. A marked line, `[step] text`, is the part worth watching:
`pipelines.local` shows only those and keeps the rest in a file; on a cluster both are in the pod's log.
"""

import os
import re
from collections.abc import Iterable
from typing import TextIO

from tqdm import tqdm

from infra.file_names import shown_name

MARKED = re.compile(r"\[([a-z_]+)\] (.*)")


def say(step: str, text: str) -> None:
    """Print one line a person should see."""
    print(f"[{step}] {shown_name(text)}", flush=True)


class _Lines:
    """A text file for tqdm that turns each redraw of a bar into a marked line."""

    def __init__(self, step: str):
        self.step = step

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            say(self.step, text)

    def flush(self) -> None:
        pass


def track(step: str, items: Iterable | None = None, *, seconds: float = 5.0, **options) -> tqdm:
    """A tqdm bar that prints a marked line every `seconds` (pipes and pod logs have no cursor)."""
    lines: TextIO = _Lines(step)  # type: ignore[assignment]
    layout = "{desc} {n_fmt}/{total_fmt} {rate_fmt} {elapsed}<{remaining}{postfix}"
    return tqdm(items, file=lines, mininterval=seconds, miniters=1, bar_format=layout, leave=True, **options)


def discard(stream: TextIO) -> None:
    """Let what is still to be written to a stream that nobody reads go nowhere, at the exit too."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
