"""What a run prints: everything to its log, the lines worth watching to the terminal."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from infra.console import MARKED, discard
from pipelines.resolve import STEPS

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[TextIO]:
    """A log for writing; closing it never fails, though a full disk may not take its end."""
    log = path.open("w", errors="backslashreplace")
    try:
        yield log
    finally:
        with contextlib.suppress(OSError):
            log.close()


class Console:
    """Standard output of a run: all of it to a file, the marked lines to the terminal.

    Writing never fails: a step whose output nobody takes would wait without end. What a full disk or a closed
    terminal (`dcclip run | head`) does not take is lost, and the run goes on.
    """

    def __init__(self, terminal: TextIO, log: TextIO):
        self.terminal, self.log = terminal, log
        self.line = ""
        self.shown = ("", "")
        self.incomplete = False

    def write(self, text: str) -> int:
        """Take text in any pieces, and show whole lines that are marked."""
        self._write(self.log, text)
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            if found := MARKED.search(ANSI.sub("", line)):
                self.shown = found.groups()
                self.show(*self.shown)
        return len(text)

    def show(self, step: str, text: str) -> None:
        """One line for the person who waits."""
        number = f"{STEPS.index(step) + 1:>2}/{len(STEPS)}" if step in STEPS else "     "
        self._write(self.terminal, f"{time.strftime('%H:%M:%S')} {number} {step:<16} {text}\n")
        self._flush(self.terminal)

    def flush(self) -> None:
        """Both files."""
        self._flush(self.log)
        self._flush(self.terminal)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
        except (OSError, ValueError) as error:
            self._lost(stream, error)

    def _flush(self, stream: TextIO) -> None:
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            self._lost(stream, error)

    def _lost(self, stream: TextIO, error: Exception) -> None:
        """Go on without a terminal that is gone; of the log say once that it has gaps."""
        if stream is self.terminal:
            discard(stream)
        elif not self.incomplete:
            self.incomplete = True
            self.show("run", f"the log cannot be written and has gaps: {error}")

    def reason(self) -> str:
        """Where the reason of a failure is; a step that was killed has said none."""
        step, text = self.shown
        if text.startswith("failed:"):
            return "the reason is above"
        return f"{step or 'it'} ended without a word: it was killed, most often for its memory"

    def isatty(self) -> bool:
        """No: colours and cursors would end in the log."""
        return False
