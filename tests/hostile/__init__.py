"""What strangers, disks, clocks and kills do to a run; docs/hostile.md has the table.

A quick part runs in `make test`. `make test-hostile` (DCCLIP_HOSTILE=1) tries far more of each, for minutes.
"""

import os

WHOLE = bool(os.environ.get("DCCLIP_HOSTILE"))


def number(quick: int, whole: int) -> int:
    """How many of something are tried."""
    return whole if WHOLE else quick
