"""The Spark job of select_pairs: which embedded pairs, and which of their captions, training shall use.

In order: what embed_pairs could not read, the teacher's score (its cosine of image and caption, per
language), near-duplicates in its space (near_duplicates.py), balance (balance.py). The first reason counts.
"""

from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs import near_duplicates as near
from spark_jobs.balance import balance_languages, balance_words
from spark_jobs.rules import LANGUAGES

LOW, HIGH = "low_teacher_score", "high_teacher_score"
COLUMNS = ("key", "shard", *(f"use_{lang}" for lang in LANGUAGES), *(f"score_{lang}" for lang in LANGUAGES))
# Of `percentile_approx`: with 1,000,000 it ran out of a heap of 1 GB at 48M rows; with this it took 13.6 s
# and was within 1.5e-5 of the exact score.
PERCENTILE_ACCURACY = 10_000
# Training asks for the rows of a shard and reads the row groups that may hold them: some ten thousand rows.
BLOCK_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Band:
    """The scores that a caption of one language may have, both ends included; None is no limit."""

    low: float | None = None
    high: float | None = None

    def above(self, low: float | None) -> "Band":
        """The band cut off below `low` as well."""
        lows = [value for value in (self.low, low) if value is not None]
        return Band(max(lows, default=None), self.high)


@dataclass(frozen=True)
class Counts:
    """Rows of scores, those that can be selected, and captions per language."""

    rows: int
    embedded: int
    captions: dict[str, int]


def read_scores(spark: SparkSession, embedded: Path) -> DataFrame:
    """One row a pair: key, shard, zh, en, score_zh, score_en, vector, and a reason if it was not embedded."""
    return spark.read.parquet(str(embedded / "scores"))


def count(scores: DataFrame) -> Counts:
    """How much there is, in one pass."""
    captions = [F.count(f"score_{lang}").alias(lang) for lang in LANGUAGES]
    found = scores.agg(F.count("*").alias("rows"), F.count("vector").alias("embedded"), *captions).first()
    return Counts(found["rows"], found["embedded"], {lang: found[lang] for lang in LANGUAGES})


def lowest_kept(scores: DataFrame, counts: Counts, drop_share: float) -> dict[str, float | None]:
    """Per language, the score from which on captions stay when the lowest `drop_share` of them go."""
    columns = {}
    for lang, number in counts.captions.items():
        # Spark gives the smallest value that this share of values does not exceed: half a rank past those to
        # drop is the first to stay.
        rank = min(1.0, (int(number * drop_share) + 0.5) / max(1, number))
        columns[lang] = F.percentile_approx(f"score_{lang}", rank, PERCENTILE_ACCURACY).alias(lang)
    return scores.agg(*columns.values()).first().asDict()


def judge_scores(scores: DataFrame, bands: dict[str, Band]) -> DataFrame:
    """Adds `use_zh` and `use_en`, and a `reason` where no caption is left to use."""
    low, high = F.lit(False), F.lit(False)
    for lang, band in bands.items():
        score = F.col(f"score_{lang}")
        too_low = F.coalesce(score < _limit(band.low), F.lit(False))
        too_high = F.coalesce(score > _limit(band.high), F.lit(False))
        scores = scores.withColumn(f"use_{lang}", score.isNotNull() & ~too_low & ~too_high)
        low, high = low | too_low, high | too_high
    left = F.col("use_zh") | F.col("use_en")
    reason = F.when(~left & low, F.lit(LOW)).when(~left & high, F.lit(HIGH))
    return scores.withColumn("reason", F.coalesce("reason", reason))


def _limit(value: float | None) -> Column:
    return F.lit(value).cast("double")


def drop_near_duplicates(rows: DataFrame, num_rows: int, cosine: float) -> DataFrame:
    """Adds `duplicate_of` and `similarity`, with the reason `near_duplicate`; a better score stays."""
    best = F.greatest(*[F.when(F.col(f"use_{lang}"), F.col(f"score_{lang}")) for lang in LANGUAGES])
    judged = rows.where("reason is null").withColumn("score", best)
    found = near.near_duplicates(judged, num_rows, cosine)
    reason = F.when(F.col("duplicate_of").isNotNull(), F.lit(near.REASON))
    return rows.join(found, "key", "left").withColumn("reason", F.coalesce("reason", reason))


def keep_near_duplicates(rows: DataFrame) -> DataFrame:
    """The columns of `drop_near_duplicates`, empty."""
    empty = {"duplicate_of": F.lit(None).cast("string"), "similarity": F.lit(None).cast("double")}
    return rows.withColumns(empty)


def select(
    scores: DataFrame,
    bands: dict[str, Band],
    *,
    num_rows: int,
    near_duplicate_cosine: float = 0.0,
    max_word_count: int = 0,
    max_language_ratio: float = 0.0,
    seed: int = 0,
) -> DataFrame:
    """Every row with `use_zh`, `use_en` and the `reason` why it goes, null where it stays; 0 skips a rule."""
    rows = judge_scores(scores, bands)
    if near_duplicate_cosine:
        rows = drop_near_duplicates(rows, num_rows, near_duplicate_cosine)
    else:
        rows = keep_near_duplicates(rows)
    rows = rows.drop("vector")
    if max_word_count:
        rows = balance_words(rows, max_word_count, seed)
    if max_language_ratio:
        rows = balance_languages(rows, max_language_ratio, seed)
    return rows


def _used_caption(lang: str) -> Column:
    return F.when(F.col(f"use_{lang}"), F.col(lang)).alias(lang)


def write_selection(rows: DataFrame, place: Path) -> dict:
    """Write `selected.parquet` and `dropped.parquet`; returns counts for the funnel."""
    rows = rows.cache()
    used = [F.count_if(f"use_{lang}").alias(lang) for lang in LANGUAGES]
    counted = rows.groupBy("reason").agg(F.count("*").alias("pairs"), *used).collect()
    by_reason = {row["reason"]: row.asDict() for row in counted}
    kept = by_reason.pop(None, {"pairs": 0, **dict.fromkeys(LANGUAGES, 0)})
    selected = rows.where("reason is null").select(*COLUMNS, *map(_used_caption, LANGUAGES))
    # By range: a shard's rows are in one file, and the files' statistics tell in which.
    by_shard = selected.repartitionByRange("shard").sortWithinPartitions("shard", "key")
    by_shard.write.mode("overwrite").option("parquet.block.size", BLOCK_BYTES).parquet(
        str(place / "selected.parquet")
    )
    rows.where("reason is not null").write.mode("overwrite").parquet(str(place / "dropped.parquet"))
    rows.unpersist()
    dropped = {reason: row["pairs"] for reason, row in by_reason.items()}
    return {
        "input": kept["pairs"] + sum(dropped.values()),
        "kept": kept["pairs"],
        "dropped": dict(sorted(dropped.items(), key=lambda item: -item[1])),
        "captions": {lang: kept[lang] for lang in LANGUAGES},
    }
