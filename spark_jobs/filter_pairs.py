"""The Spark job of filter_pairs: judge each downloaded row, write kept and dropped, count reasons.

Left out on purpose: pixels. A rule here sees what img2dataset recorded of the image.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from spark_jobs import rules

PAIR_COLUMNS = ("key", "shard", "url", *rules.LANGUAGES, "width", "height", "sha256")
# What we read of img2dataset's records. Written out, or Spark would run a job to find the types.
RAW_SCHEMA = (
    "key string, url string, zh string, en string, status string, error_message string, "
    "width int, height int, sha256 string"
)


def read_raw(spark: SparkSession, shards: Path) -> DataFrame:
    """img2dataset's records, with the name of the shard that holds each."""
    shard = F.regexp_extract(F.input_file_name(), r"(\d+)\.parquet$", 1)
    reader = spark.read.schema(RAW_SCHEMA)
    return reader.parquet(str(shards), pathGlobFilter="*.parquet").withColumn("shard", shard)


def judge(raw: DataFrame, *, min_side: int, max_aspect: float, min_chars: dict, max_chars: dict) -> DataFrame:
    """Adds `zh_reason`, `en_reason` and `reason`; a caption with a reason becomes null in a kept pair."""
    rows = raw
    for lang in rules.LANGUAGES:
        found = rules.first_reason(rules.caption_rules(lang, min_chars[lang], max_chars[lang]))
        rows = rows.withColumn(f"{lang}_reason", found)
    no_caption = F.col("zh_reason").isNotNull() & F.col("en_reason").isNotNull()
    last_caption = F.when(F.col("zh_reason") == "zh_missing", F.col("en_reason")).otherwise(
        F.col("zh_reason")
    )
    own_rules = [*rules.download_rules(), *rules.image_rules(min_side, max_aspect)]
    own_reason = F.coalesce(rules.first_reason(own_rules), F.when(no_caption, last_caption))
    rows = mark_copies(rows.withColumn("reason", own_reason))
    for lang in rules.LANGUAGES:
        kept = F.when(F.col(f"{lang}_reason").isNull() | F.col("reason").isNotNull(), rules.stripped(lang))
        rows = rows.withColumn(lang, kept)
    return rows


def mark_copies(rows: DataFrame) -> DataFrame:
    """Gives all but the first of the rows with one image content a reason.

    Copies are counted among the rows that are good otherwise: a dropped row takes no good one with it. Each
    dropped row is a group of its own, or the many without an image would be sorted by a single task.
    """
    good = F.col("reason").isNull()
    same_image = Window.partitionBy(F.when(good, F.col("sha256")).otherwise(F.col("key"))).orderBy("key")
    rows = rows.withColumn("copy", F.when(good, F.row_number().over(same_image)))
    return rows.withColumn("reason", F.coalesce("reason", rules.first_reason(rules.duplicate_rules())))


def write_judged(rows: DataFrame, place: Path) -> dict:
    """Write `kept.parquet` and `dropped.parquet`; returns counts for the funnel."""
    rows = rows.repartition("shard").sortWithinPartitions("key").cache()
    is_kept = F.col("reason").isNull()
    _write(rows.where(is_kept).select(*PAIR_COLUMNS), place / "kept.parquet")
    _write(rows.where(~is_kept).select(*PAIR_COLUMNS, "error_message", "reason"), place / "dropped.parquet")
    return _facts(rows.groupBy("reason", *map(_lost_caption, rules.LANGUAGES)).agg(*_counts()).collect())


def _write(rows: DataFrame, path: Path) -> None:
    rows.write.mode("overwrite").parquet(str(path))


def _lost_caption(lang: str) -> Column:
    """Why a kept pair lost a caption it had."""
    reason = F.col(f"{lang}_reason")
    lost = F.col("reason").isNull() & (reason != f"{lang}_missing")
    return F.when(lost, reason).alias(f"{lang}_lost")


def _counts() -> list[Column]:
    return [F.count("*").alias("rows"), *(F.count(lang).alias(lang) for lang in rules.LANGUAGES)]


def _facts(groups: list[Row]) -> dict:
    """The funnel, from counts of rows that share all their reasons."""
    kept = [group for group in groups if group["reason"] is None]
    lost = [(group[f"{lang}_lost"], group["rows"]) for group in kept for lang in rules.LANGUAGES]
    return {
        "input": sum(group["rows"] for group in groups),
        "kept": sum(group["rows"] for group in kept),
        "dropped": _sums((group["reason"], group["rows"]) for group in groups),
        "captions": {lang: sum(group[lang] for group in kept) for lang in rules.LANGUAGES},
        "captions_dropped": _sums(lost),
    }


def _sums(counts: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    """Counts added up by reason, the largest first."""
    sums = Counter()
    for reason, count in counts:
        if reason is not None:
            sums[reason] += count
    return dict(sums.most_common())
