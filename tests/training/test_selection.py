"""The selection, asked shard by shard."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from toy_training import score_of, write_selection

from training.selection import Counts, Selection


@pytest.fixture(scope="module")
def selection(corpus) -> Selection:
    return Selection(corpus.selection)


def used(corpus, shard: str) -> dict[str, set[str]]:
    rows = [row for row in corpus.rows if row["shard"] == shard and row["key"] != corpus.unselected]
    return {
        row["key"]: {lang for lang in ("zh", "en") if row[lang] and (row["key"], lang) != corpus.unused}
        for row in rows
    }


def test_counts_pairs_captions_and_parallel_ones(corpus, selection):
    there = {shard: used(corpus, shard) for shard in ("00000", "00001")}
    assert selection.counts() == Counts(
        pairs={shard: len(rows) for shard, rows in there.items()},
        captions={shard: sum(map(len, rows.values())) for shard, rows in there.items()},
        parallel={shard: sum(len(langs) == 2 for langs in rows.values()) for shard, rows in there.items()},
    )


@pytest.mark.parametrize("shard", ["00000", "00001"])
def test_of_a_shard_it_tells_the_captions_to_use_with_their_scores(corpus, selection, shard):
    found = selection.of(shard)
    assert {key: set(scores) for key, scores in found.items()} == used(corpus, shard)
    row = next(row for row in corpus.rows if row["shard"] == shard)
    assert found[row["key"]]["zh"] == score_of(row, "zh")


def test_a_shard_without_selected_pairs_has_none(selection):
    assert selection.of("00009") == {}


def test_a_selection_may_be_a_folder_of_parts(corpus, selection, tmp_path):
    (tmp_path / "selected.parquet").mkdir()
    table = pq.read_table(corpus.selection / "selected.parquet")
    for start in range(0, len(table), 5):
        pq.write_table(table.slice(start, 5), tmp_path / "selected.parquet" / f"part-{start}.parquet")
    assert Selection(tmp_path).counts() == selection.counts()
    assert Selection(tmp_path).of("00001") == selection.of("00001")


def test_an_empty_selection_counts_nothing(corpus, tmp_path):
    write_selection(tmp_path, corpus.rows)
    table = pq.read_table(tmp_path / "selected.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "selected.parquet")
    assert Selection(tmp_path).counts() == Counts({}, {}, {})


@pytest.mark.parametrize("most", [1_000, 5])
def test_scores_are_those_of_the_captions_to_use(corpus, selection, most):
    scores = [selection.of(shard)[key] for shard in ("00000", "00001") for key in sorted(used(corpus, shard))]
    expected = [row["en"] for row in scores if "en" in row]
    found = selection.scores("en", most)
    assert np.isin(found, expected).all()
    assert len(found) == len(expected) if most > len(expected) else len(found) < len(expected)
