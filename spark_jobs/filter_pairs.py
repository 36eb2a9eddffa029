"""The Spark job of filter_pairs: judge each downloaded row, write kept and dropped, count reasons.

Left out on purpose: pixels. A rule here sees what img2dataset recorded of the image.
"""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_jobs import rules

PAIR_COLUMNS = ("key", "shard", "url", *rules.LANGUAGES, "width", "height", "sha256")


def read_raw(spark: SparkSession, shards: Path) -> DataFrame:
    """img2dataset's records, with the name of the shard that holds each."""
    shard = F.regexp_extract(F.input_file_name(), r"(\d+)\.parquet$", 1)
    return spark.read.parquet(str(shards), pathGlobFilter="*.parquet").withColumn("shard", shard)


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
    rows = rows.withColumn("reason", own_reason)
    # Copies are counted among the rows that are good otherwise: a dropped row takes no good one with it.
    same_image = Window.partitionBy("sha256", F.col("reason").isNull()).orderBy("key")
    copy = F.when(F.col("reason").isNull(), F.row_number().over(same_image))
    rows = rows.withColumn("copy", copy)
    rows = rows.withColumn("reason", F.coalesce("reason", rules.first_reason(rules.duplicate_rules())))
    for lang in rules.LANGUAGES:
        kept = F.when(F.col(f"{lang}_reason").isNull() | F.col("reason").isNotNull(), rules.stripped(lang))
        rows = rows.withColumn(lang, kept)
    return rows


def write_judged(rows: DataFrame, place: Path) -> dict:
    """Write `kept.parquet` and `dropped.parquet`; returns counts for the funnel."""
    rows = rows.cache()
    kept = rows.where("reason is null").select(*PAIR_COLUMNS)
    kept.repartition("shard").sortWithinPartitions("key").write.mode("overwrite").parquet(
        str(place / "kept.parquet")
    )
    dropped = rows.where("reason is not null").select(*PAIR_COLUMNS, "error_message", "reason")
    dropped.write.mode("overwrite").parquet(str(place / "dropped.parquet"))
    reasons = {row["reason"]: row["count"] for row in dropped.groupBy("reason").count().collect()}
    captions = rows.where("reason is null").agg(*[F.count(lang).alias(lang) for lang in rules.LANGUAGES])
    found = F.explode(F.array(*[f"{lang}_reason" for lang in rules.LANGUAGES])).alias("reason")
    lost = rows.where("reason is null").select(found).where("reason not like '%_missing'")
    lost_reasons = {row["reason"]: row["count"] for row in lost.groupBy("reason").count().collect()}
    return {
        "input": rows.count(),
        "kept": kept.count(),
        "dropped": dict(sorted(reasons.items(), key=lambda item: -item[1])),
        "captions": captions.first().asDict(),
        "captions_dropped": lost_reasons,
    }
