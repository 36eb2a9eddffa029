"""The job of filter_pairs on img2dataset's records of ten downloads: who goes, why, and what is counted."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.filter_pairs import PAIR_COLUMNS, judge, num_tasks, read_raw, write_judged
from spark_jobs.limits import CaptionLimits, ImageLimits
from spark_jobs.rules import mark_placeholders

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


PLACEHOLDER, SHARED, BILINGUAL = "sha-placeholder", "sha-shared", "sha-bilingual"
# Of each image content, captions of the rows that it came under.
CONTENTS = {
    PLACEHOLDER: [("一只猫", "a cat"), ("一只狗", None), (None, "a fish"), ("一只鸟", "one bird")],
    SHARED: [
        ("一只猫", "a cat"),
        (" 一只猫 ", "A cat"),
        ("一只狗", None),
        (None, "a fish"),
        (None, "a fish"),
    ],
    BILINGUAL: [("一只猫", "a cat")] * 5,
}


# What a crawl keeps that was made before captions were cleaned, and what becomes of it.
UNCLEAN = {
    ("&#29483;&#21644;&#29399;", "Tom &amp;amp; Jerry"): ("猫和狗", None, "Tom & Jerry", None),
    ("ＱＱ１２", "&#29483;&#29483;&#29483;"): ("QQ12", "zh_wrong_language", "猫猫猫", "en_wrong_language"),
    ("１３８００１３８０００", "ｗｗｗ．ｅｘ．ｏｒｇ"): (
        "13800138000",
        "zh_too_long",
        "www.ex.org",
        "en_url",
    ),
}


@pytest.fixture(scope="module")
def more_rows(spark, tmp_path_factory) -> list:
    """Rows of CONTENTS and of UNCLEAN, judged in one job."""
    folder = tmp_path_factory.mktemp("more")
    rows = [
        record(f"{number}{content[-3:]}", zh, en, sha256=content)
        for content, captions in CONTENTS.items()
        for number, (zh, en) in enumerate(captions)
    ]
    rows += [record("small", "一只", "a dog", PLACEHOLDER, width=50)]
    rows += [failed("404", "HTTP Error 404: Not Found")]
    rows += [record(f"unclean{number}", *captions) for number, captions in enumerate(UNCLEAN)]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "00000.parquet")
    image = replace(IMAGE, max_captions=3)
    return judge(read_raw(spark, folder), folder, CAPTIONS, image, simplify=False).sort("key").collect()


def test_a_content_under_more_captions_than_the_limit_goes_wholly(more_rows):
    found: dict[str, list] = {}
    for row in more_rows:
        found.setdefault(row["sha256"], []).append(row["reason"])
    assert found[PLACEHOLDER] == ["placeholder_image"] * 4 + ["image_too_small"]
    assert found[SHARED] == [None] + ["duplicate_image"] * 4
    assert found[BILINGUAL] == [None] + ["duplicate_image"] * 4
    assert found[None] == ["http_error"]


def test_captions_are_clean_before_any_rule_looks(more_rows):
    columns = ("zh", "zh_reason", "en", "en_reason")
    found = [tuple(row[name] for name in columns) for row in more_rows if row["key"].startswith("unclean")]
    assert found == list(UNCLEAN.values())


@pytest.mark.parametrize("max_captions, marked", [(2, {PLACEHOLDER: 3}), (3, {}), (0, {})])
def test_the_limit_of_captions_is_the_recipes(spark, max_captions, marked):
    rows = [record(f"{n}", None, caption, PLACEHOLDER) for n, caption in enumerate("abc")]
    rows += [
        record("a", None, "d", "sha-other"),
        *(record("b", None, char) | {"sha256": None} for char in "efgh"),
    ]
    rows = spark.createDataFrame(
        [tuple(row[name] for name in ("status", "sha256", "zh", "en")) for row in rows],
        "status string, sha256 string, zh string, en string",
    )
    found = mark_placeholders(rows, ImageLimits(max_captions=max_captions))
    if not max_captions:
        assert found.columns == rows.columns
        return
    counts = Counter(row["sha256"] for row in found.collect() if row["placeholder"])
    assert counts == marked


@pytest.mark.parametrize("max_captions", [-1, 10_001])
def test_the_limit_of_captions_has_bounds(max_captions):
    with pytest.raises(ValueError, match="give 1 to 10,000, or 0"):
        ImageLimits(max_captions=max_captions)


def test_a_second_write_replaces_the_first(written, judged):
    place, facts = written
    assert write_judged(judged, place) == facts
    assert len(pd.read_parquet(place / "kept.parquet")) == 4


@pytest.mark.parametrize(
    "num_shards, num_cores, tasks", [(0, 2, 1), (3, 2, 3), (20, 2, 6), (6_700, 2, 1_675), (6_700, 640, 1_920)]
)
def test_tasks_follow_the_shards_however_many_cores_there_are_now(num_shards, num_cores, tasks):
    assert num_tasks(num_shards, num_cores) == tasks
