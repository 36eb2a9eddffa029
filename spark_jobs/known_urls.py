"""The Spark job of a data set that grows: which URLs of the merged lists were crawled for the version before.

Each URL is in one state. `new`: never asked for. `retried`: failed, and is asked for again. `reused`: its
picture is there. `failed`: failed for good, or too short ago. `gone`: crawled once, no longer in the lists.
Shards with a row that is reused or failed are taken over under their numbers: the tar as it is, of the
records the rows that are still listed, with the captions that the lists have now.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from infra.crawl_reasons import PASSING_REASONS
from infra.links import link_file
from infra.store import write_json
from spark_jobs.rules import LANGUAGES, download_rules, first_reason

NEW, RETRIED, REUSED, FAILED, GONE = STATES = ("new", "retried", "reused", "failed", "gone")
RECORDS = "url string, key string, status string, error_message string"


def read_known(spark: SparkSession, shards: Path) -> DataFrame:
    """Of each URL crawled before: where it is, whether it has a picture, whether its failure may pass."""
    rows = spark.read.schema(RECORDS).parquet(str(shards), pathGlobFilter="*.parquet")
    reason = first_reason(download_rules())
    return rows.select(
        "url",
        "key",
        F.regexp_extract(F.input_file_name(), r"(\d+)\.parquet$", 1).alias("shard"),
        (F.col("status") == "success").alias("has_picture"),
        F.coalesce(reason.isin(*PASSING_REASONS), F.lit(False)).alias("may_pass"),
    )


def state_of(due: Column) -> Column:
    """A URL's state, where `due` says whether its failure is tried again."""
    listed, known = F.col("listed").isNotNull(), F.col("shard").isNotNull()
    return (
        F.when(~listed, GONE)
        .when(~known, NEW)
        .when(F.col("has_picture"), REUSED)
        .when(due, RETRIED)
        .otherwise(FAILED)
    )


def judge(urls: DataFrame, known: DataFrame, old_shards: tuple[str, ...], retry_all: bool) -> DataFrame:
    """Adds its `state` to each URL of the lists (url, zh, en) and of what is known.

    Args:
        old_shards: names of those whose passing failures are tried again; with `retry_all`, all failures are.
    """
    rows = urls.withColumn("listed", F.lit(True)).join(known, "url", "full_outer")
    due = F.lit(True) if retry_all else F.col("may_pass") & F.col("shard").isin(*old_shards)
    return rows.withColumn("state", state_of(due))


def shard_writer(known: str, shards: str) -> Callable[[pa.Table], pa.Table]:
    """A function that takes over one shard: rows (shard, key, zh, en) in, the shard's name out."""

    def write(rows: pa.Table) -> pa.Table:
        name = rows["shard"][0].as_py()
        take_over(name, rows, Path(known), Path(shards))
        return pa.table({"shard": [name]})

    return write


def take_over(name: str, rows: pa.Table, known: Path, shards: Path) -> None:
    """Write a shard's records with these rows' keys and captions, link its tar, then write its statistics."""
    records = pq.read_table(known / f"{name}.parquet", partitioning=None)
    records = records.filter(pc.is_in(records["key"], value_set=rows["key"].combine_chunks()))
    at = {key: number for number, key in enumerate(rows["key"].to_pylist())}
    order = pa.array([at[key] for key in records["key"].to_pylist()])
    for lang in LANGUAGES:
        captions = rows[lang].take(order).cast(pa.string())
        records = records.set_column(records.column_names.index(lang), lang, captions)
    link_file(known / f"{name}.tar", shards / f"{name}.tar")
    partial = shards / f".{name}.parquet"
    pq.write_table(records, partial)
    partial.replace(shards / f"{name}.parquet")
    stats = json.loads((known / f"{name}_stats.json").read_text())
    write_json(shards / f"{name}_stats.json", {**stats, "count": len(records)})


def split_urls(
    spark: SparkSession,
    lists: Path,
    known: Path,
    place: Path,
    old_shards: tuple[str, ...],
    retry_all: bool = False,
) -> dict[str, int]:
    """Take over the shards below `known`, write `place/urls_new` (url, zh, en); returns URLs by state.

    Args:
        lists: the merged lists, parquet files of url, zh and en.
        known: a crawl's shards.
    """
    urls = spark.read.parquet(str(lists))
    rows = judge(urls, read_known(spark, known), old_shards, retry_all).persist(StorageLevel.DISK_ONLY)
    counts = dict.fromkeys(STATES, 0)
    counts |= {row["state"]: row["count"] for row in rows.groupBy("state").count().collect()}
    taken = rows.where(F.col("state").isin(REUSED, FAILED)).select("shard", "key", *LANGUAGES)
    writer = shard_writer(str(known), str(place / "shards"))
    taken.groupBy("shard").applyInArrow(writer, "shard string").count()
    to_crawl = counts[NEW] + counts[RETRIED]
    # As many files for as many rows as the merged lists have: a file's rows fill shards.
    num_listed = sum(counts.values()) - counts[GONE]
    num_files = max(1, math.ceil(sum(1 for _ in lists.glob("*.parquet")) * to_crawl / num_listed))
    fresh = rows.where(F.col("state").isin(NEW, RETRIED)).select("url", *LANGUAGES)
    fresh = fresh.repartition(num_files, "url").sortWithinPartitions(F.xxhash64("url"), "url")
    fresh.write.mode("overwrite").parquet(str(place / "urls_new"))
    rows.unpersist()
    return counts
