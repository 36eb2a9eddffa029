"""An endless, seeded sequence of rows for each worker, from files of any number and size.

The files are cut into units (a shard, or a part of one where shards are few). Each epoch shuffles the units
and deals them out to the workers; a worker reads a window of its units at a time and shuffles the rows in
it, while a thread reads the next one. So memory holds two windows or three, the order is a function of seed,
rank and place alone, and a resumed run goes on at any place without reading what came before it. Workers go
round their own units: one with fewer rows begins its next epoch earlier, and nobody waits.

Left out on purpose: what a row is. `load(unit)` gives the rows of a unit that can be read.
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

PARTS_PER_WORKER = 4


@dataclass(frozen=True)
class Unit:
    """Every `num_parts`-th row of a file from number `part` on; `num_rows` are expected there."""

    name: str
    num_rows: int
    part: int = 0
    num_parts: int = 1


def cut_units(counts: dict[str, int], world: int) -> list[Unit]:
    """Units of files with these numbers of rows, several for each worker even of a single file.

    Raises:
        ValueError: there is no row at all.
    """
    files = {name: number for name, number in sorted(counts.items()) if number}
    if not files:
        raise ValueError("there are no rows to train on")
    num_parts = -(-PARTS_PER_WORKER * world // len(files))
    units = [
        Unit(name, len(range(part, number, num_parts)), part, num_parts)
        for name, number in files.items()
        for part in range(num_parts)
    ]
    return [unit for unit in units if unit.num_rows]


@dataclass
class _Window:
    """Consecutive rows of the sequence: where they start, what they are, and in what order."""

    first: int
    rows: list
    order: list[int]

    @property
    def end(self) -> int:
        return self.first + len(self.order)

    def row(self, number: int) -> Any:
        # Fewer rows were readable than expected: some come twice, and the sequence keeps its length.
        return self.rows[self.order[number - self.first] % len(self.rows)]


class Stream:
    """One worker's sequence; `rows(first, number)` gives a stretch of it, quickest in ascending order."""

    def __init__(
        self,
        units: list[Unit],
        load: Callable[[Unit], list],
        *,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        window: int = 4,
    ):
        self.units, self.load, self.window = units, load, window
        # Fewer units than workers: two workers then share one, in different orders.
        self.rank, self.world, self.seed = rank, min(world, len(units)), seed
        self._missing: dict[Unit, int] = {}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="windows")
        self._start_over()

    def _start_over(self) -> None:
        self._loaded: list[_Window] = []
        self._ahead: Future | None = None
        self._coming = self._windows()

    def rows(self, first: int, number: int) -> list:
        """The rows from place `first` of the sequence on."""
        if self._loaded and first < self._loaded[0].first:
            self._start_over()
        self._loaded = [window for window in self._loaded if window.end > first]
        while not self._loaded or self._loaded[-1].end < first + number:
            self._load_next(first)
        return [self._window_of(place).row(place) for place in range(first, first + number)]

    def at_hand(self, first: int, number: int) -> list:
        """All rows of the windows that this stretch of the sequence lies in: a function of the stretch."""
        self.rows(first, number)
        windows = [window for window in self._loaded if window.first < first + number]
        return [row for window in windows for row in window.rows]

    @property
    def num_missing(self) -> int:
        """Rows that were expected and not there, of the units read so far; each counts once."""
        return sum(self._missing.values())

    def _window_of(self, place: int) -> _Window:
        return next(window for window in self._loaded if place < window.end)

    def _load_next(self, wanted: int) -> None:
        """Load the next window that reaches `wanted`; the ones before it are passed over unread."""
        window = self._ahead.result() if self._ahead else None
        while window is None or window.end <= wanted:
            first, units, order_seed = next(self._coming)
            if first + _expected(units) > wanted:
                window = self._open(first, units, order_seed)
        self._loaded.append(window)
        self._ahead = self._reader.submit(self._open, *next(self._coming))

    def _open(self, first: int, units: list[Unit], order_seed: int) -> _Window:
        rows = self._read(units) or self._stand_in(first)
        return _Window(first, rows, _permutation(_expected(units), order_seed))

    def _read(self, units: list[Unit]) -> list:
        return [row for unit in units for row in self._load(unit)]

    def _load(self, unit: Unit) -> list:
        rows = self.load(unit)
        self._missing[unit] = unit.num_rows - len(rows)
        return rows

    def _stand_in(self, first: int) -> list:
        """Rows in place of those of a window of which nothing could be read: the next window's that could.

        Raises:
            ValueError: there is none.
        """
        later = itertools.dropwhile(lambda window: window[0] <= first, self._windows())
        for _, units, _ in itertools.islice(later, len(self.units)):
            if rows := self._read(units):
                return rows
        raise ValueError("no row of any shard could be read")

    def _windows(self) -> Iterator[tuple[int, list[Unit], int]]:
        """(first place, units, seed of the order in it), for all time."""
        first = 0
        for epoch in itertools.count():
            order = _permutation(len(self.units), self.seed * 1_000_003 + epoch)
            own = [self.units[number] for number in order][self.rank % self.world :: self.world]
            for number, start in enumerate(range(0, len(own), self.window)):
                units = own[start : start + self.window]
                yield first, units, ((self.seed * 1_009 + epoch) * 1_009 + number) * 1_009 + self.rank
                first += _expected(units)


def _expected(units: list[Unit]) -> int:
    return sum(unit.num_rows for unit in units)


def _permutation(number: int, seed: int) -> list[int]:
    return torch.randperm(number, generator=torch.Generator().manual_seed(seed)).tolist()
