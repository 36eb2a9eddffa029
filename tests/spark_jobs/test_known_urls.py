"""A growing data set's URLs against the version before: their states, the shards taken over, what is left."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from spark_jobs.known_urls import split_urls

LATE = "HTTP Error 503: Service Unavailable"
FINAL = "HTTP Error 404: Not Found"
# By shard: (url, message of its failure); the second shard is the young one.
CRAWLED = {
    "00000": [("a", None), ("b", None), ("late", LATE), ("final", FINAL), ("gone", None)],
    "00001": [("c", None), ("young", LATE), ("forgotten", FINAL)],
    "00003": [("forsaken", None)],
}
LISTED = ["a", "b", "c", "late", "young", "final", "new", "brand-new"]


def write_known(shards: Path) -> None:
    """Shards as img2dataset leaves them."""
    shards.mkdir(parents=True)
    for name, rows in CRAWLED.items():
        frame = pd.DataFrame(rows, columns=["url", "error_message"])
        frame["zh"], frame["en"] = "旧", None
        frame["key"] = [f"{name}{at:03d}" for at in range(len(rows))]
        frame["status"] = ["failed_to_download" if message else "success" for _, message in rows]
        frame["width"] = pd.Series([None if message else 40 for _, message in rows], dtype="Int32")
        strings = {name: "string" for name in ("zh", "en", "url", "key", "status", "error_message")}
        columns = ["zh", "en", "url", "key", "status", "error_message", "width"]
        frame[columns].astype(strings).to_parquet(shards / f"{name}.parquet", index=False)
        (shards / f"{name}.tar").write_bytes(name.encode())
        stats = {"count": len(rows), "start_time": 1, "end_time": 2}
        (shards / f"{name}_stats.json").write_text(json.dumps(stats))


@dataclass(frozen=True)
class Split:
    """The earlier shards, the place of the new version, and the URLs by state."""

    known: Path
    place: Path
    counts: dict[str, int]

    def rows(self, name: str) -> dict[str, dict]:
        """A shard's records by URL."""
        frame = pd.read_parquet(self.place / "shards" / f"{name}.parquet")
        return {row["url"]: row for row in frame.to_dict("records")}


def split(spark, place: Path, **options) -> Split:
    known = place / "known" / "shards"
    write_known(known)
    (place / "urls").mkdir()
    (place / "new" / "shards").mkdir(parents=True)
    lists = pd.DataFrame({"url": LISTED, "zh": "新", "en": [None, "b now", *[None] * 6]})
    lists.astype("string").to_parquet(place / "urls" / "part-0.parquet", index=False)
    counts = split_urls(spark, place / "urls", known, place / "new", ("00000",), **options)
    return Split(known, place / "new", counts)


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory) -> Split:
    return split(spark, tmp_path_factory.mktemp("split"))


def test_every_url_is_in_one_state(done):
    assert done.counts == {"new": 2, "retried": 1, "reused": 3, "failed": 2, "gone": 3}


def test_new_urls_and_old_failures_that_may_pass_are_crawled(done):
    rows = pd.read_parquet(done.place / "urls_new")
    assert sorted(rows["url"]) == ["brand-new", "late", "new"]
    assert list(rows.columns) == ["url", "zh", "en"]


def test_a_shard_keeps_the_rows_that_are_still_listed(done):
    assert list(done.rows("00000")) == ["a", "b", "final"]
    assert list(done.rows("00001")) == ["c", "young"]


def test_captions_are_those_of_the_lists_now_and_all_else_stays(done):
    row = done.rows("00000")["b"]
    assert (row["zh"], row["en"], row["key"], row["width"]) == ("新", "b now", "00000001", 40)
    assert done.rows("00000")["a"]["en"] is None
    assert done.rows("00000")["final"]["error_message"] == FINAL


def test_the_tar_is_the_same_file(done):
    for name in ("00000.tar", "00001.tar"):
        assert os.path.samefile(done.known / name, done.place / "shards" / name)


def test_statistics_agree_with_the_records_and_keep_their_time(done):
    stats = json.loads((done.place / "shards" / "00000_stats.json").read_text())
    assert stats == {"count": 3, "start_time": 1, "end_time": 2}


def test_a_shard_of_which_nothing_is_listed_is_left(done):
    assert not list((done.place / "shards").glob("00003*"))


def test_what_was_taken_over_stays_as_it_was(done):
    assert len(pd.read_parquet(done.known / "00000.parquet")) == 5


def test_with_other_limits_every_failure_is_tried_again(spark, tmp_path):
    found = split(spark, tmp_path, retry_all=True)
    assert found.counts == {"new": 2, "retried": 3, "reused": 3, "failed": 0, "gone": 3}
    assert sorted(found.rows("00000")) == ["a", "b"]
