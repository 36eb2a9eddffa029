"""What strangers, disks, clocks and kills do to a run; docs/hostile.md has the table.

A quick part runs in `make test`. `make test-hostile` (DCCLIP_HOSTILE=1) tries far more of each, for minutes.
"""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
# Fewer than these would try nothing; a machine that needs longer for them is not cut off.
MIN_TRIED = 100
WHOLE = bool(os.environ.get("DCCLIP_HOSTILE"))


def number(quick: int, whole: int) -> int:
    """How many of something are tried."""
    return whole if WHOLE else quick


def within(seconds: float, items: Iterable[Item]) -> Iterator[Item]:
    """The items, as far as time allows: a slow machine tries fewer, the first of them always."""
    deadline = time.monotonic() + seconds
    for count, item in enumerate(items):
        if count >= MIN_TRIED and time.monotonic() > deadline:
            return
        yield item
