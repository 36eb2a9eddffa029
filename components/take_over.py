"""Before a crawl that goes on from an earlier one: its shards taken over, and what is left to crawl.

Decided once a place, for what is due depends on the time: a rerun finds it decided.
"""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from components import crawl_records
from infra.console import say
from infra.store import read_json, write_json

if TYPE_CHECKING:
    from components.data_version import KnownCrawl

TAKEN_OVER = "taken_over.json"
NEW_URLS = "urls_new"
DAY_SECONDS = 86_400


def take_over(known: "KnownCrawl", place: Path, engines: dict) -> dict:
    """Take over an earlier crawl's shards below `place/shards` and write `place/urls_new`, once.

    Returns:
        `version`, the number of URLs by state (spark_jobs.known_urls), and `first_shard`, the number of the
        first shard to be crawled.
    """
    if not (place / TAKEN_OVER).exists():
        write_json(place / TAKEN_OVER, _take_over(known, place, engines["spark_master"]))
    facts = read_json(place / TAKEN_OVER)
    say(
        "download_pairs",
        "of version {version} {reused} pictures stay, {failed} URLs failed before, {gone} are no longer "
        "listed; to crawl: {new} new URLs, {retried} once more".format(**facts),
    )
    return facts


def _take_over(known: "KnownCrawl", place: Path, master: str) -> dict:
    """The Spark job over the lists and the earlier records."""
    from spark_jobs.known_urls import split_urls
    from spark_jobs.session import is_short, spark_session

    shards, lists = Path(known.place) / "shards", place / "urls"
    # An earlier try may have taken over what is due by now.
    shutil.rmtree(place / "shards", ignore_errors=True)
    (place / "shards").mkdir()
    records = [*shards.glob("*.parquet"), *lists.glob("*.parquet")]
    old = old_shards(shards, time.time() - known.retry_after_days * DAY_SECONDS)
    with spark_session("known_urls", master, short_job=is_short(records)) as spark:
        counts = split_urls(spark, lists, shards, place, old, known.retry_all)
    # Numbers are never used twice, so a key means one picture in all versions.
    return {"version": known.version, **counts, "first_shard": crawl_records.shard_numbers(shards)[-1] + 1}


def old_shards(shards: Path, before: float) -> tuple[str, ...]:
    """Names of the shards that were crawled before a time (seconds since 1970)."""
    names = (file.name.removesuffix(crawl_records.STATS) for file in sorted(shards.glob("*_stats.json")))
    return tuple(
        name
        for name in names
        if json.loads((shards / f"{name}{crawl_records.STATS}").read_text())["end_time"] <= before
    )
