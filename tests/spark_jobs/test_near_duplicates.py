"""Near-duplicates: what is planted is found, the worse one goes, and no cell grows the memory."""

import numpy as np
import pandas as pd
import pytest

from spark_jobs import near_duplicates as near

WIDTH = 48


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def turned(vectors: np.ndarray, cosine: float, rng: np.random.Generator) -> np.ndarray:
    """Vectors at a cosine to the given ones."""
    away = rng.normal(size=vectors.shape)
    away -= (away * vectors).sum(axis=1, keepdims=True) * vectors
    return unit(cosine * vectors + np.sqrt(1 - cosine**2) * unit(away))


def frame(spark, vectors: np.ndarray, scores: np.ndarray):
    stored = [(row.view(np.uint32) >> 16).astype(np.uint16).tobytes() for row in vectors]
    keys = [f"{number:06d}" for number in range(len(vectors))]
    return spark.createDataFrame(pd.DataFrame({"key": keys, "score": scores, "vector": stored}))


def found(rows, num_rows: int, cosine: float = 0.95) -> dict[str, tuple[str, float]]:
    result = near.near_duplicates(rows, num_rows, cosine).collect()
    return {row["key"]: (row["duplicate_of"], row["similarity"]) for row in result}


@pytest.fixture(scope="module")
def planted() -> np.ndarray:
    """6,000 vectors around a common one, as a teacher's are; the last 500 are copies of the first at 0.97."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(6_000, WIDTH)) + 0.8)
    vectors[-500:] = turned(vectors[:500], 0.97, rng)
    return vectors


@pytest.mark.parametrize("num_rows", [500, 6_000], ids=["one cell", "many cells"])
def test_planted_copies_are_found_and_nothing_else_goes(spark, planted, num_rows):
    copies = found(frame(spark, planted, np.arange(6_000, 0, -1.0)), num_rows)
    hits = [copies.get(f"{5_500 + n:06d}", ("",))[0] == f"{n:06d}" for n in range(500)]
    assert np.mean(hits) >= 0.98
    cosines = np.triu(planted @ planted.T, 1)
    near_enough = (cosines >= 0.95 - 0.01).any(axis=0)
    assert {int(key) for key in copies} <= set(np.flatnonzero(near_enough))


def test_cosines_are_told(spark, planted):
    copies = found(frame(spark, planted, np.arange(6_000, 0, -1.0)), 6_000)
    for key, (other, similarity) in list(copies.items())[:50]:
        assert similarity == pytest.approx(planted[int(key)] @ planted[int(other)], abs=0.01)


def test_the_better_score_stays_and_the_earlier_key_among_equals(spark):
    rng = np.random.default_rng(1)
    one = unit(rng.normal(size=(2, WIDTH)))
    vectors = np.concatenate([one, one])
    copies = found(frame(spark, vectors, np.array([1.0, 5.0, 2.0, 5.0])), 4)
    assert {key: other for key, (other, _) in copies.items()} == {"000000": "000002", "000003": "000001"}


def test_nothing_comes_of_nothing(spark):
    rows = frame(spark, unit(np.eye(4, WIDTH)), np.ones(4))
    assert found(rows, 4) == {}
    assert found(rows.where("key = 'none'"), 0) == {}


def test_a_thousand_copies_leave_one_though_blocks_are_small(spark, monkeypatch):
    rng = np.random.default_rng(2)
    vectors = np.repeat(unit(rng.normal(size=(1, WIDTH))), 1_000, axis=0)
    block = near.Rows(np.arange(1_000), vectors)
    leaders, gone = block[:0], set()
    for start in range(0, 1_000, 64):
        (ids, _), leaders = near.match(block[start : start + 64], leaders, 0.91, 0.99)
        gone.update(ids.tolist())
    assert (len(gone), leaders.ids.tolist()) == (999, [0])


def test_a_row_that_may_be_no_copy_still_leads():
    vectors = unit(np.array([[1, 0], [0.95, 0.31], [0.90, 0.44]]))
    found, leaders = near.match(
        near.Rows(np.arange(3), vectors), near.Rows(np.arange(0), vectors[:0]), 0.92, 0.97
    )
    assert set(zip(*(side.tolist() for side in found), strict=True)) == {(1, 0), (2, 1)}
    assert leaders.ids.tolist() == [0, 1]


def test_leaders_are_bounded(monkeypatch):
    monkeypatch.setattr(near, "MAX_LEADERS", 10)
    rows = near.Rows(np.arange(32), np.eye(32, dtype=np.float32))
    _, leaders = near.match(rows[:16], rows[:0], 0.95, 0.99)
    _, leaders = near.match(rows[16:], leaders, 0.95, 0.99)
    assert leaders.ids.tolist() == list(range(22, 32))


@pytest.mark.parametrize("shared", [0.0, 0.8, 3.0])
@pytest.mark.parametrize("cosine", [0.9, 0.95, 0.98])
def test_short_sketches_are_off_by_less_than_the_slack(cosine, shared):
    rng = np.random.default_rng(4)
    vectors = unit(rng.normal(size=(4_000, 512)) + shared)
    tables = near.plan_tables(vectors, 100, cosine)
    ours, theirs = (
        tables.short_sketches(rows).astype(float) for rows in (vectors, turned(vectors, cosine, rng))
    )
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert (cosines >= cosine - tables.slack(cosine)).mean() > 0.985


def test_long_runs_of_a_cell_are_cut(monkeypatch):
    monkeypatch.setattr(near, "BLOCK_ROWS", 3)
    cells = np.array([1, 1, 2, 2, 2, 2, 2, 7])
    assert list(near._blocks(cells)) == [(0, 2), (2, 5), (5, 7), (7, 8)]


@pytest.mark.parametrize("cosine", [0.9, 0.97, 0.99])
@pytest.mark.parametrize("num_directions", [4, 32])
def test_tables_meet_the_recall_they_are_planned_for(cosine, num_directions):
    rng = np.random.default_rng(3)
    tables = near.tables_needed(cosine, num_directions)
    vectors = unit(rng.normal(size=(4_000, 64)))
    directions = rng.normal(size=(64, tables, 2, num_directions)).astype(np.float32)
    plan = near.Tables(np.zeros(64, np.float32), directions, *2 * [np.eye(64, dtype=np.float32)])
    met = plan.cells(vectors)[:, :, None] == plan.cells(turned(vectors, cosine, rng))[:, None, :]
    assert met.any(axis=(1, 2)).mean() >= near.RECALL - 0.01


def test_nearer_thresholds_need_fewer_tables():
    numbers = [near.tables_needed(cosine, 32) for cosine in (1.0, 0.99, 0.95, 0.9)]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1
    assert near.tables_needed(0.0, 32) == near.MAX_TABLES


def test_bfloat16_is_read_as_float():
    import pyarrow as pa

    column = pa.array([b"\x80\x3f\x00\x00", b"\x00\xbf\x00\x40"], pa.binary())
    assert near.from_bf16(column).tolist() == [[1.0, 0.0], [-0.5, 2.0]]


def test_bits_hold_what_they_were_made_of_and_little_else():
    numbers = np.random.default_rng(5).integers(-(2**63), 2**63, 40_000)
    bits = near.Bits.of([numbers[:500], numbers[500:1_000]], 2**16)
    assert bits.hold(numbers[:1_000]).all()
    assert bits.hold(numbers[1_000:]).mean() < 0.03
