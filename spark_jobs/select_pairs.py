"""The Spark job of select_pairs: which embedded pairs, and which of their captions, training shall use.

Scores are the teacher's cosine of image and caption. Left out on purpose, for now: near-duplicates and
balance.
"""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.rules import LANGUAGES

REASON = "low_teacher_score"


def read_scores(spark: SparkSession, embedded: Path) -> DataFrame:
    """One row a pair: key, shard, score_zh, score_en (null where that caption is not)."""
    return spark.read.parquet(str(embedded / "scores"))


def score_thresholds(scores: DataFrame, drop_share: float) -> dict[str, float | None]:
    """Per language, the score below which the lowest `drop_share` of its captions lie."""
    columns = [F.percentile_approx(f"score_{lang}", drop_share).alias(lang) for lang in LANGUAGES]
    return scores.agg(*columns).first().asDict()


def select(scores: DataFrame, thresholds: dict[str, float | None]) -> DataFrame:
    """Adds `use_zh` and `use_en`, and `reason` where no caption is left to use."""
    for lang in LANGUAGES:
        used = F.col(f"score_{lang}") >= F.lit(thresholds[lang]).cast("double")
        scores = scores.withColumn(f"use_{lang}", F.coalesce(used, F.lit(False)))
    left = F.col("use_zh") | F.col("use_en")
    return scores.withColumn("reason", F.when(~left, F.lit(REASON)))


def write_selection(rows: DataFrame, place: Path) -> dict:
    """Write `selected.parquet` and `dropped.parquet`; returns counts for the funnel."""
    rows = rows.cache()
    selected = rows.where("reason is null")
    selected.orderBy("key").coalesce(1).write.mode("overwrite").parquet(str(place / "selected.parquet"))
    dropped = rows.where("reason is not null")
    dropped.write.mode("overwrite").parquet(str(place / "dropped.parquet"))
    used = [F.sum(F.col(f"use_{lang}").cast("int")).alias(lang) for lang in LANGUAGES]
    return {
        "input": rows.count(),
        "kept": selected.count(),
        "dropped": {REASON: dropped.count()},
        "captions": selected.agg(*used).first().asDict(),
    }
