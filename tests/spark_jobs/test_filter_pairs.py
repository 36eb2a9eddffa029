"""The job of filter_pairs on img2dataset's records of ten downloads: who goes, why, and what is counted."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.filter_pairs import PAIR_COLUMNS, judge, read_raw, write_judged
from spark_jobs.limits import CaptionLimits, ImageLimits

CAPTIONS = {
    "zh": CaptionLimits(min_chars=2, max_chars=8, min_words=1, max_words=8),
    "en": CaptionLimits(min_chars=3, max_chars=20, min_words=1, max_words=8),
}
IMAGE = ImageLimits(min_side=100, max_aspect=3.0, min_bytes=0, min_sigma=0, min_entropy=0)


def record(key: str, zh: str | None, en: str | None, sha256: str | None = None, **changes) -> dict:
    """A row as img2dataset writes it; a good download unless told otherwise."""
    row = {"url": f"http://a/{key}.png", "zh": zh, "en": en, "key": key, "status": "success"}
    row |= {"error_message": None, "width": 200, "height": 150, "sha256": sha256 or f"sha-{key}"}
    return row | changes


def failed(key: str, message: str) -> dict:
    """A row of a download that failed."""
    gone = {"status": "failed_to_download", "error_message": message, "width": None, "height": None}
    return record(key, "一只猫", "a cat") | gone | {"sha256": None}


TEXTS = ("zh", "en", "url", "key", "status", "error_message", "sha256")
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), ("width", pa.int32()), ("height", pa.int32())])

# (record, the reason it should get)
FIRST_SHARD = [
    (record("000", " 一只猫 ", "a cat"), None),
    (record("001", "一只猫", "第二只猫"), None),
    (record("002", "cat", "a cat"), None),
    (record("003", None, "a cat"), None),
    (record("004", None, "x"), "en_too_short"),
    (record("005", "猫", "x"), "zh_too_short"),
]
SECOND_SHARD = [
    (record("100", "同一只猫", "the same cat", sha256="sha-000"), "duplicate_image"),
    (record("101", "一只猫", "a cat", width=50), "image_too_small"),
    (failed("102", "HTTP Error 404: Not Found"), "http_error"),
    (failed("103", "Connection reset by peer"), "connection_lost"),
]
REASONS = {row["key"]: reason for row, reason in FIRST_SHARD + SECOND_SHARD}


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """A folder as img2dataset leaves it; the job reads only the records."""
    folder = tmp_path_factory.mktemp("shards")
    for name, rows in (("00000", FIRST_SHARD), ("00001", SECOND_SHARD)):
        table = pa.Table.from_pylist([row for row, _ in rows], SCHEMA)
        pq.write_table(table, folder / f"{name}.parquet")
        (folder / f"{name}.tar").write_bytes(b"pictures")
        (folder / f"{name}_stats.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def judged(spark, shards):
    """Every row with its reasons."""
    return judge(read_raw(spark, shards), shards, CAPTIONS, IMAGE, simplify=False).cache()


@pytest.fixture(scope="module")
def rows(judged) -> dict:
    """The judged rows by key."""
    return {row["key"]: row for row in judged.collect()}


def test_no_row_is_lost(rows):
    assert set(rows) == set(REASONS)


@pytest.mark.parametrize("key, reason", REASONS.items())
def test_a_row_has_its_reason(rows, key, reason):
    assert rows[key]["reason"] == reason


@pytest.mark.parametrize("key, shard", [("000", "00000"), ("005", "00000"), ("100", "00001")])
def test_a_row_knows_its_shard(rows, key, shard):
    assert rows[key]["shard"] == shard


@pytest.mark.parametrize(
    "key, zh, en, zh_reason, en_reason",
    [
        ("000", "一只猫", "a cat", None, None),
        ("001", "一只猫", None, None, "en_wrong_language"),
        ("002", None, "a cat", "zh_wrong_language", None),
        ("003", None, "a cat", "zh_missing", None),
        ("005", "猫", "x", "zh_too_short", "en_too_short"),
    ],
)
def test_a_bad_caption_goes_and_its_pair_stays_with_the_other(rows, key, zh, en, zh_reason, en_reason):
    row = rows[key]
    assert (row["zh"], row["en"]) == (zh, en)
    assert (row["zh_reason"], row["en_reason"]) == (zh_reason, en_reason)


@pytest.fixture(scope="module")
def written(judged, tmp_path_factory) -> tuple[Path, dict]:
    """(place, facts) of the job's output."""
    place = tmp_path_factory.mktemp("pairs")
    return place, write_judged(judged, place)


def test_facts_count_every_row_once(written):
    _, facts = written
    dropped = Counter(reason for reason in REASONS.values() if reason)
    assert facts == {
        "input": 10,
        "kept": 4,
        "dropped": dict(dropped),
        "captions": {"zh": 2, "en": 3},
        "captions_dropped": {"zh_wrong_language": 1, "en_wrong_language": 1},
    }


def test_kept_pairs_are_written_without_bad_captions(written):
    place, _ = written
    kept = pd.read_parquet(place / "kept.parquet").sort_values("key")
    assert list(kept.columns) == list(PAIR_COLUMNS)
    assert kept["key"].tolist() == ["000", "001", "002", "003"]
    assert kept["zh"].tolist() == ["一只猫", "一只猫", None, None]
    assert kept["en"].tolist() == ["a cat", None, "a cat", "a cat"]


def test_dropped_pairs_are_written_with_reason_and_captions(written):
    place, _ = written
    dropped = pd.read_parquet(place / "dropped.parquet").set_index("key")
    assert dropped["reason"].to_dict() == {key: reason for key, reason in REASONS.items() if reason}
    assert dropped.loc["102", "error_message"] == "HTTP Error 404: Not Found"
    assert dropped.loc["005", ["zh", "en"]].tolist() == ["猫", "x"]


def test_a_second_write_replaces_the_first(written, judged):
    place, facts = written
    assert write_judged(judged, place) == facts
    assert len(pd.read_parquet(place / "kept.parquet")) == 4
