"""Rows of parquet asked for a shard at a time, however many there are: `selected.parquet`, `kept.parquet`.

Each row group's statistics tell which shards it may hold rows of. They are read once, with the footers; a
question then costs a search and the few row groups that may answer it, not a look at all of them.
"""

import bisect
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

# Footers read side by side: in object storage each is a round trip.
NUM_READERS = 16
# Above every name of a shard.
HIGHEST = "\U0010ffff"


class ShardRows:
    """A data set with a column `shard`; quickest where rows are sorted by it, in small row groups."""

    def __init__(self, rows: ds.Dataset):
        self.rows = rows

    @cached_property
    def _groups(self) -> list[tuple[str, str, ds.Fragment]]:
        """(first shard, last shard, row group) of all row groups, sorted."""
        with ThreadPoolExecutor(NUM_READERS) as readers:
            found = itertools.chain.from_iterable(readers.map(_row_groups, self.rows.get_fragments()))
            return sorted(found, key=lambda group: group[:2])

    @cached_property
    def _bounds(self) -> tuple[list[str], list[str]]:
        """First shards of the row groups, and the last shard of any up to each: both ascend."""
        lasts = itertools.accumulate((last for _, last, _ in self._groups), max)
        return [first for first, _, _ in self._groups], list(lasts)

    def groups_of(self, shard: str) -> list[ds.Fragment]:
        """The row groups that may hold rows of a shard."""
        firsts, lasts = self._bounds
        some = self._groups[bisect.bisect_left(lasts, shard) : bisect.bisect_right(firsts, shard)]
        return [group for _, last, group in some if last >= shard]

    def of(self, shard: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of a shard."""
        wanted = ds.field("shard") == shard
        tables = [group.to_table(columns=columns, filter=wanted) for group in self.groups_of(shard)]
        nothing = self.rows.schema.empty_table().select(columns or self.rows.schema.names)
        return pa.concat_tables([nothing, *tables])

    def where(self) -> dict[str, list[tuple[str, list[int]]]]:
        """By shard, in order of their names, the files and row groups that hold its rows."""
        found: dict[str, dict[str, list[int]]] = {}
        with ThreadPoolExecutor(NUM_READERS) as readers:
            for (_, _, group), shards in zip(
                self._groups, readers.map(_shards_in, self._groups), strict=True
            ):
                for shard in shards:
                    found.setdefault(shard, {}).setdefault(group.path, []).append(group.row_groups[0].id)
        return {
            shard: [(path, sorted(numbers)) for path, numbers in sorted(files.items())]
            for shard, files in sorted(found.items())
        }


def _row_groups(file: ds.Fragment) -> list[tuple[str, str, ds.Fragment]]:
    return [(*_bounds_of(group), group) for group in file.split_by_row_group()]


def _bounds_of(group: ds.Fragment) -> tuple[str, str]:
    """The first and the last shard of a row group; without statistics it may hold any."""
    told: dict[str, Any] = (group.row_groups[0].statistics or {}).get("shard", {})
    return told.get("min", ""), told.get("max", HIGHEST)


def _shards_in(group: tuple[str, str, ds.Fragment]) -> Iterator[str] | list[str]:
    """Names of the shards of a row group, read only where its bounds leave a doubt."""
    first, last, rows = group
    return [first] if first == last else pc.unique(rows.to_table(columns=["shard"])["shard"]).to_pylist()
