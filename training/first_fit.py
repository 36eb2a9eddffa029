"""A cache of bounded size that keeps what came first and evicts nothing.

Each epoch asks for everything once: a cache that evicts would push out what the next epoch asks for first.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any


class FirstFit:
    """Values by key, of `max_bytes` together."""

    def __init__(self, max_bytes: int):
        self._room = max_bytes
        self._kept: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __getitem__(self, key: Hashable) -> Any:
        return self._kept[key]

    def keep(self, key: Hashable, value: Any, num_bytes: int) -> None:
        """Keep it if it fits."""
        with self._lock:
            if key not in self._kept and num_bytes <= self._room:
                self._room -= num_bytes
                self._kept[key] = value

    def rows(self, load: Callable[[Hashable], list], key: Hashable, *, of: str) -> list:
        """`load(key)`, once if its rows fit; `of` tells apart what is loaded by the same keys."""
        if (of, key) in self:
            return self[of, key]
        rows = load(key)
        self.keep((of, key), rows, sum(row.num_bytes for row in rows))
        return rows
