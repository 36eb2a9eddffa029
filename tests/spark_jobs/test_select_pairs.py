"""The job of select_pairs: the lowest scores of each language go, and pairs with no caption left."""

from pathlib import Path

import pandas as pd
import pytest

from spark_jobs.select_pairs import REASON, read_scores, score_thresholds, select, write_selection

# (key, score of the Chinese caption, score of the English one)
SCORES = [
    ("0", 0.9, 0.1),
    ("1", 0.8, 0.2),
    ("2", 0.1, 0.3),
    ("3", 0.1, 0.05),
    ("4", None, 0.4),
    ("5", None, 0.01),
    ("6", 0.7, None),
    ("7", 0.2, None),
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
}
THRESHOLDS = {"zh": 0.5, "en": 0.1}


@pytest.fixture(scope="module")
def scores(spark, tmp_path_factory):
    """Scores in two files, as embed_pairs writes them."""
    embedded = tmp_path_factory.mktemp("embedded")
    (embedded / "scores").mkdir()
    frame = pd.DataFrame(SCORES, columns=["key", "score_zh", "score_en"]).assign(shard="00000")
    frame[:5].to_parquet(embedded / "scores" / "00000.parquet")
    frame[5:].to_parquet(embedded / "scores" / "00001.parquet")
    return read_scores(spark, embedded)


@pytest.fixture(scope="module")
def many(spark):
    """100 pairs whose Chinese captions score 1 to 100, and the English ones a hundredth of it."""
    rows = [(str(number), float(number), number / 100) for number in range(1, 101)]
    return spark.createDataFrame(rows, "key string, score_zh double, score_en double")


@pytest.mark.parametrize("drop_share", [0.0, 0.02, 0.3, 0.5])
def test_each_language_loses_its_share(many, drop_share):
    thresholds = score_thresholds(many, drop_share)
    assert thresholds["zh"] == pytest.approx(100 * thresholds["en"])
    rows = select(many, thresholds).where("not use_zh").count()
    assert rows == pytest.approx(100 * drop_share, abs=1)


def test_a_language_without_captions_has_no_threshold(spark):
    rows = spark.createDataFrame([("0", 0.5, None)], "key string, score_zh double, score_en double")
    thresholds = score_thresholds(rows, 0.3)
    assert thresholds == {"zh": 0.5, "en": None}
    (row,) = select(rows, thresholds).collect()
    assert (row["use_zh"], row["use_en"], row["reason"]) == (True, False, None)


@pytest.fixture(scope="module")
def selected(scores) -> dict:
    """Selected and dropped rows by key."""
    return {row["key"]: row for row in select(scores, THRESHOLDS).collect()}


@pytest.mark.parametrize("key, used", USED.items())
def test_a_caption_is_used_from_its_threshold_on(selected, key, used):
    assert (selected[key]["use_zh"], selected[key]["use_en"]) == used


@pytest.mark.parametrize("key, used", USED.items())
def test_a_pair_without_a_caption_to_use_has_a_reason(selected, key, used):
    assert selected[key]["reason"] == (None if any(used) else REASON)


def test_the_selection_is_written_and_counted(scores, tmp_path):
    facts = write_selection(select(scores, THRESHOLDS), tmp_path)
    assert facts == {"input": 8, "kept": 5, "dropped": {REASON: 3}, "captions": {"zh": 3, "en": 4}}
    assert keys_of(tmp_path / "selected.parquet") == ["0", "1", "2", "4", "6"]
    assert sorted(keys_of(tmp_path / "dropped.parquet")) == ["3", "5", "7"]


def keys_of(folder: Path) -> list[str]:
    """The keys in a folder of parquet files."""
    return pd.read_parquet(folder)["key"].tolist()
