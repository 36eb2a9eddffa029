"""A crawl that goes on from an earlier one, on a server that counts who was asked."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import crawl_site
import pandas as pd
import pytest

from components.data_version import KnownCrawl
from components.download_pairs import DownloadPairs, crawl
from components.take_over import old_shards
from components.url_lists import UrlList

ENGINES = {"spark_master": "local[2]"}
SMALL = DownloadPairs(
    (),
    pairs_per_shard=3,
    num_processes=1,
    num_threads=4,
    timeout_seconds=5,
    retries=0,
    allow_private_addresses=True,
)
FIRST = ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg?status=404", "6.jpg?status=503&times=1"]
# The fourth is gone, two are new.
SECOND = [*FIRST[:3], *FIRST[4:], "7.jpg", "8.jpg"]


def with_list(file: Path, urls: list[str], caption: str) -> DownloadPairs:
    """A config whose list has these URLs."""
    pd.DataFrame({"url": urls, "caption": caption}).to_csv(file, index=False)
    return replace(SMALL, lists=(UrlList(str(file), "zh"),))


@dataclass(frozen=True)
class Crawls:
    """Three versions of a data set, and after each how often each path had been asked for."""

    places: list[Path]
    facts: list[dict]
    asked: list[dict[str, int]]


@pytest.fixture(scope="module")
def crawls(spark, tmp_path_factory) -> Iterator[Crawls]:
    """The lists grow, then stay; the third crawl has nothing to do."""
    root = tmp_path_factory.mktemp("versions")
    places, facts, asked = [root / name for name in "123"], [], []
    with crawl_site.running() as site:
        for number, (paths, caption) in enumerate([(FIRST, "旧图"), (SECOND, "新图"), (SECOND, "新图")]):
            places[number].mkdir()
            config = with_list(root / f"{number}.csv", [f"{site}/{path}" for path in paths], caption)
            if number:
                known = KnownCrawl(number, str(places[number - 1]), retry_after_days=0)
                config = replace(config, known=known)
            facts.append(crawl(config, places[number], ENGINES))
            asked.append(crawl_site.counts_of(site))
    yield Crawls(places, facts, asked)


def known_facts(facts: dict) -> dict:
    """What a crawl had from the version before, without the number of a shard."""
    return {name: number for name, number in facts["known"].items() if name != "first_shard"}


def test_only_what_is_not_known_is_asked_for(crawls):
    first, second, _ = crawls.asked
    fresh = {path: number - first.get(path, 0) for path, number in second.items() if path != "/counts"}
    assert fresh == {**dict.fromkeys([f"/{number}.jpg" for number in (1, 2, 3, 4, 5)], 0)} | {
        "/6.jpg": 1,
        "/7.jpg": 1,
        "/8.jpg": 1,
    }


def test_the_facts_say_what_is_new_and_what_is_not(crawls):
    assert known_facts(crawls.facts[1]) == {
        "version": 1,
        "new": 2,
        "retried": 1,
        "reused": 3,
        "failed": 1,
        "gone": 1,
    }
    came = crawls.facts[1]["crawl"]
    assert (came["urls"], came["downloaded"], came["failures"]) == (7, 6, {"http_error": 1})


def test_with_nothing_new_nothing_is_crawled(crawls):
    assert known_facts(crawls.facts[2]) == {
        "version": 2,
        "new": 0,
        "retried": 0,
        "reused": 6,
        "failed": 1,
        "gone": 0,
    }
    assert crawls.facts[2]["crawl"]["downloaded"] == 6
    before, now = ({**counts, "/counts": 0} for counts in crawls.asked[1:])
    assert before == now


def records_of(place: Path) -> pd.DataFrame:
    return pd.concat(pd.read_parquet(file) for file in sorted((place / "shards").glob("*.parquet")))


def test_each_listed_url_is_there_once_with_the_caption_it_has_now(crawls):
    rows = records_of(crawls.places[1])
    assert sorted(rows["url"].str.rpartition("/")[2]) == sorted(SECOND)
    assert set(rows["zh"]) == {"新图"}


def test_keys_are_the_same_in_all_versions_and_never_used_twice(crawls):
    keys = [records_of(place).set_index("url")["key"] for place in crawls.places]
    stayed = keys[0].index.intersection(keys[1].index).drop([url for url in keys[1].index if "6.jpg" in url])
    assert keys[0][stayed].equals(keys[1][stayed])
    assert keys[1].is_unique and keys[1].sort_index().equals(keys[2].sort_index())


def test_pictures_are_where_the_records_say(crawls):
    place = crawls.places[2]
    for file in (place / "shards").glob("*.parquet"):
        rows = pd.read_parquet(file)
        with tarfile.open(file.with_suffix(".tar")) as tar:
            there = {name.removesuffix(".jpg") for name in tar.getnames() if name.endswith(".jpg")}
        assert set(rows[rows["status"] == "success"]["key"]) <= there


def test_what_was_decided_is_not_decided_again(crawls, tmp_path):
    """A rerun of the second crawl: by now its failures are older, and the first version may be gone."""
    file = tmp_path / "list.csv"
    config = replace(with_list(file, ["http://127.0.0.1:9/none.jpg"], "无"), known=KnownCrawl(1, "/gone", 0))
    assert crawl(config, crawls.places[1], ENGINES) == crawls.facts[1]


def test_shards_are_old_by_the_time_of_their_crawl(tmp_path):
    for name, end in (("00000", 10), ("00001", 20)):
        (tmp_path / f"{name}_stats.json").write_text(f'{{"end_time": {end}}}')
    assert old_shards(tmp_path, 15) == ("00000",)
