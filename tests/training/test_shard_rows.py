"""Rows asked for by shard: the row groups that are read, and the files that hold a shard."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from training.shard_rows import ShardRows

# Files of rows, in row groups of two.
FILES = {"part-0.parquet": "aabbbc", "part-1.parquet": "ddddfg", "part-2.parquet": "cch"}


@pytest.fixture(params=[True, False], ids=["statistics", "no statistics"])
def folder(request, tmp_path) -> Path:
    for name, shards in FILES.items():
        rows = pa.table({"shard": list(shards), "key": [f"{name}{at}" for at in range(len(shards))]})
        pq.write_table(rows, tmp_path / name, row_group_size=2, write_statistics=request.param)
    return tmp_path


def rows_of(folder: Path) -> ShardRows:
    return ShardRows(ds.dataset(folder, format="parquet"))


@pytest.mark.parametrize("shard", "abcdefgh")
def test_the_rows_of_a_shard(folder, shard):
    expected = [f"{name}{at}" for name, names in FILES.items() for at, s in enumerate(names) if s == shard]
    found = rows_of(folder).of(shard, ["key"])
    assert sorted(found["key"].to_pylist()) == expected
    assert found.schema.names == ["key"]


def test_only_row_groups_that_may_hold_it_are_read(tmp_path):
    for name, shards in FILES.items():
        pq.write_table(pa.table({"shard": list(shards)}), tmp_path / name, row_group_size=2)
    read = [[Path(group.path).name for group in rows_of(tmp_path).groups_of(shard)] for shard in "adez"]
    assert read == [["part-0.parquet"], ["part-1.parquet"] * 2, [], []]


def test_where_the_rows_of_each_shard_are(folder):
    found = rows_of(folder).where()
    assert list(found) == list("abcdfgh")
    places = {shard: [(Path(path).name, groups) for path, groups in files] for shard, files in found.items()}
    assert places["b"] == [("part-0.parquet", [1, 2])]
    assert places["c"] == [("part-0.parquet", [2]), ("part-2.parquet", [0])]
    assert places["d"] == [("part-1.parquet", [0, 1])]
