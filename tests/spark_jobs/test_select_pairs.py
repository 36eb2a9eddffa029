"""The job of select_pairs: scores outside of their band go, then near-duplicates, and all are counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.select_pairs import (
    HIGH,
    LOW,
    Band,
    count,
    judge_scores,
    lowest_kept,
    read_scores,
    select,
    write_selection,
)

# (key, score of the Chinese caption, score of the English one, why there is no vector)
SCORES = [
    ("0", 0.9, 0.1, None),
    ("1", 0.8, 0.2, None),
    ("2", 0.1, 0.3, None),
    ("3", 0.1, 0.05, None),
    ("4", None, 0.4, None),
    ("5", None, 0.01, None),
    ("6", 0.7, None, None),
    ("7", 0.2, None, None),
    ("8", 0.96, None, None),
    ("9", 0.96, 0.3, None),
    ("10", None, None, "unreadable_image"),
]
USED = {
    "0": (True, True),
    "1": (True, True),
    "2": (False, True),
    "3": (False, False),
    "4": (False, True),
    "5": (False, False),
    "6": (True, False),
    "7": (False, False),
    "8": (False, False),
    "9": (False, True),
    "10": (False, False),
}
REASONS = {"3": LOW, "5": LOW, "7": LOW, "8": HIGH, "10": "unreadable_image"}
BANDS = {"zh": Band(0.5, 0.95), "en": Band(0.1)}
WIDTH = 32


def bf16(vector: np.ndarray) -> bytes:
    return (vector.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()


@pytest.fixture(scope="module")
def scores(spark, tmp_path_factory):
    """Scores in two files, as embed_pairs writes them; the images of 0 and 1 are nearly the same."""
    embedded = tmp_path_factory.mktemp("embedded")
    (embedded / "scores").mkdir()
    frame = pd.DataFrame(SCORES, columns=["key", "score_zh", "score_en", "reason"]).assign(shard="00000")
    vectors = np.eye(len(SCORES), WIDTH)
    vectors[1] = np.sqrt([0.99, 0.01] + [0] * (WIDTH - 2))
    frame["zh"], frame["en"] = "红色", "red"
    frame["vector"] = [bf16(vector) for vector in vectors]
    frame.loc[10, "vector"] = None
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # A file of rows that were all embedded still says that a reason is a text.
    for name, rows in (("00000", slice(0, 5)), ("00001", slice(5, None))):
        part = table.take(list(range(len(table)))[rows])
        pq.write_table(part, embedded / "scores" / f"{name}.parquet")
    return read_scores(spark, embedded)


@pytest.fixture(scope="module")
def many(spark):
    """100 pairs whose Chinese captions score 1 to 100, and the English ones a hundredth of it."""
    rows = [(str(number), float(number), number / 100, b"", None) for number in range(1, 101)]
    columns = "key string, score_zh double, score_en double, vector binary, reason string"
    return spark.createDataFrame(rows, columns)


@pytest.mark.parametrize("drop_share", [0.02, 0.07, 0.295, 0.3, 0.5, 1 / 3])
def test_each_language_loses_exactly_its_share(many, drop_share):
    lowest = lowest_kept(many, count(many), drop_share)
    assert lowest["zh"] == pytest.approx(100 * lowest["en"])
    bands = {lang: Band().above(low) for lang, low in lowest.items()}
    rows = judge_scores(many, bands)
    assert rows.where("not use_zh").count() == rows.where("not use_en").count() == int(100 * drop_share)


def test_what_there_is_is_counted(scores):
    counts = count(scores)
    assert (counts.rows, counts.embedded, counts.captions) == (11, 10, {"zh": 8, "en": 7})


def test_a_language_without_captions_has_no_threshold(spark):
    columns = "key string, score_zh double, score_en double, vector binary, reason string"
    rows = spark.createDataFrame([("0", 0.5, None, b"", None)], columns)
    lowest = lowest_kept(rows, count(rows), 0.3)
    assert lowest == {"zh": 0.5, "en": None}
    (row,) = judge_scores(rows, {lang: Band().above(low) for lang, low in lowest.items()}).collect()
    assert (row["use_zh"], row["use_en"], row["reason"]) == (True, False, None)


@pytest.mark.parametrize(
    ("fixed", "share", "low"), [(None, None, None), (0.2, None, 0.2), (None, 0.3, 0.3), (0.2, 0.3, 0.3)]
)
def test_the_stricter_of_a_fixed_score_and_a_share_counts(fixed, share, low):
    assert Band(fixed, 0.9).above(share) == Band(low, 0.9)


@pytest.fixture(scope="module")
def judged(scores) -> dict:
    """Rows by key."""
    return {row["key"]: row for row in judge_scores(scores, BANDS).collect()}


@pytest.mark.parametrize("key, used", USED.items())
def test_a_caption_is_used_within_its_band(judged, key, used):
    assert (judged[key]["use_zh"], judged[key]["use_en"]) == used


@pytest.mark.parametrize("key", USED)
def test_a_pair_without_a_caption_to_use_has_a_reason(judged, key):
    assert judged[key]["reason"] == REASONS.get(key)


def test_the_selection_is_written_and_counted(scores, tmp_path):
    facts = write_selection(select(scores, BANDS, num_rows=10), tmp_path)
    dropped = {LOW: 3, HIGH: 1, "unreadable_image": 1}
    assert facts == {"input": 11, "kept": 6, "dropped": dropped, "captions": {"zh": 3, "en": 5}}
    assert keys_of(tmp_path / "selected.parquet") == ["0", "1", "2", "4", "6", "9"]
    assert sorted(keys_of(tmp_path / "dropped.parquet")) == ["10", "3", "5", "7", "8"]
    selected = pd.read_parquet(tmp_path / "selected.parquet").set_index("key")
    for key, row in selected.iterrows():
        captions = [text if used else None for text, used in zip(("红色", "red"), USED[key], strict=True)]
        assert [row["zh"], row["en"]] == captions


def test_the_worse_of_two_near_duplicates_goes_and_names_the_better(scores, tmp_path):
    facts = write_selection(select(scores, BANDS, num_rows=10, near_duplicate_cosine=0.95), tmp_path)
    assert facts["dropped"] == {LOW: 3, HIGH: 1, "unreadable_image": 1, "near_duplicate": 1}
    dropped = pd.read_parquet(tmp_path / "dropped.parquet").set_index("key")
    assert dropped.loc["1", "duplicate_of"] == "0"
    assert dropped.loc["1", "similarity"] == pytest.approx(0.99**0.5, abs=0.01)
    assert dropped["duplicate_of"].count() == 1
    assert "vector" not in dropped.columns


def test_nothing_selected_is_a_selection_too(scores, tmp_path):
    facts = write_selection(select(scores, {"zh": Band(2.0), "en": Band(2.0)}, num_rows=10), tmp_path)
    assert (facts["kept"], facts["captions"]) == (0, {"zh": 0, "en": 0})
    assert keys_of(tmp_path / "selected.parquet") == []


def keys_of(folder: Path) -> list[str]:
    """The keys in a folder of parquet files."""
    return pd.read_parquet(folder)["key"].tolist()
