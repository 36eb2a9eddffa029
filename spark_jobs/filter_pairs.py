"""The Spark job of filter_pairs: judge each downloaded row, write kept and dropped, count reasons.

The rules are in spark_jobs/rules.py and spark_jobs/pixels.py; this file says in which order they count.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from infra.storage import AnyPath
from spark_jobs import caption_udfs, pixels, rules
from spark_jobs.clean_captions import cleaned
from spark_jobs.limits import CaptionLimits, ImageLimits

# A task's shards: about a minute of opening images, and a file of output that every later reader opens.
SHARDS_PER_TASK = 4
# embed_pairs asks for the rows of a shard: row groups of some ten thousand rows, not of 700,000.
BLOCK_BYTES = 2 * 2**20
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


def judge(
    raw: DataFrame, shards: AnyPath, captions: dict[str, CaptionLimits], image: ImageLimits, simplify: bool
) -> DataFrame:
    """Adds `zh_reason`, `en_reason` and `reason`; a caption with a reason becomes null in a kept pair.

    Captions are cleaned first. Rules on captions and records come before copies, copies before pixels, so
    that few pictures are opened. The rows of one shard are in one partition, sorted by key.
    """
    rows = raw.withColumns({lang: cleaned(lang) for lang in captions})
    rows = rows.withColumn("zh", caption_udfs.simplified("zh")) if simplify else rows
    rows = rules.mark_placeholders(rows, image)
    rows = rules.mark_repeated(rows, captions, counted=F.col("status") == "success")
    for lang, limits in captions.items():
        found = [*rules.caption_rules(lang, limits), *rules.repeat_rules(lang, limits)]
        rows = rows.withColumn(f"{lang}_reason", rules.first_reason(found))
    pair_rules = [*rules.download_rules(), *rules.image_rules(image), *rules.placeholder_rules(image)]
    rows = rows.withColumn("reason", F.coalesce(rules.first_reason(pair_rules), no_caption_reason()))
    rows = by_shard(mark_copies(rows), shards)
    if pixels.opens_images(image):
        rows = pixels.mark_pixels(rows, shards, image)
    return rows.withColumns({lang: kept_caption(lang) for lang in captions})


def no_caption_reason() -> Column:
    """Why the last caption went, when none is left: the Chinese one, unless there was none."""
    last = F.when(F.col("zh_reason") == "zh_missing", F.col("en_reason")).otherwise(F.col("zh_reason"))
    return F.when(F.col("zh_reason").isNotNull() & F.col("en_reason").isNotNull(), last)


def kept_caption(lang: str) -> Column:
    """The caption as it is written out; a dropped pair keeps all its captions."""
    return F.when(F.col(f"{lang}_reason").isNull() | F.col("reason").isNotNull(), rules.stripped(lang))


def by_shard(rows: DataFrame, shards: AnyPath) -> DataFrame:
    """Each shard's rows in one partition, partitions of equal numbers of shards.

    Their number follows the shards: a session with dynamic allocation has a core or two when this is asked,
    and made 6 tasks of 1,000 shards.
    """
    num_shards = sum(1 for _ in shards.glob("*.parquet"))
    number = num_tasks(num_shards, rows.sparkSession.sparkContext.defaultParallelism)
    # Shards are dealt out by their numbers; hashes of names would give one task three times another's.
    partition = F.col("shard").cast("int") % number
    return rows.repartitionById(number, partition).sortWithinPartitions("shard", "key")


def num_tasks(num_shards: int, num_cores: int) -> int:
    """At most `SHARDS_PER_TASK` shards a task; of few shards at most three tasks a core, or one a shard."""
    return max(1, min(num_shards, 3 * num_cores), -(-num_shards // SHARDS_PER_TASK))


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
    # On disk, and only what is written: in memory it would crowd out the sorts, at twice the time.
    written = [*PAIR_COLUMNS, "error_message", "reason", "zh_reason", "en_reason"]
    rows = rows.select(*written).persist(StorageLevel.DISK_ONLY)
    is_kept = F.col("reason").isNull()
    _write(rows.where(is_kept).select(*PAIR_COLUMNS), place / "kept.parquet")
    _write(rows.where(~is_kept).select(*PAIR_COLUMNS, "error_message", "reason"), place / "dropped.parquet")
    return _facts(rows.groupBy("reason", *map(_lost_caption, rules.LANGUAGES)).agg(*_counts()).collect())


def _write(rows: DataFrame, path: Path) -> None:
    rows.write.mode("overwrite").option("parquet.block.size", BLOCK_BYTES).parquet(str(path))


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
