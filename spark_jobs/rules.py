"""Filter rules: each a snake_case reason and the condition that calls for it.

The entry to all of them: captions (spark_jobs/caption_rules.py), downloads and images as recorded (here),
pixels (spark_jobs/pixels.py). A rule is a native Spark column, so no row crosses into Python, except where
the recipe asks for a model or a list of words. Pair rules drop the pair; caption rules drop one caption, and
the pair with its last caption.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from infra.crawl_reasons import DOWNLOAD_REASONS, OTHER_REASON
from spark_jobs.caption_rules import LANGUAGES, caption_rules, mark_repeated, repeat_rules, stripped
from spark_jobs.limits import CaptionLimits, ImageLimits

__all__ = [
    "LANGUAGES",
    "CaptionLimits",
    "ImageLimits",
    "caption_reason",
    "caption_rules",
    "download_rules",
    "duplicate_rules",
    "first_reason",
    "image_rules",
    "mark_placeholders",
    "mark_repeated",
    "placeholder_rules",
    "repeat_rules",
    "stripped",
]


def first_reason(rules: list[tuple[str, Column]]) -> Column:
    """The reason of the first rule whose condition holds, null when none does."""
    return F.coalesce(*[F.when(condition, F.lit(reason)) for reason, condition in rules])


def caption_reason(lang: str, limits: CaptionLimits) -> Column:
    """Why the caption in the column `lang` goes, by itself; repeats are counted by `mark_repeated`."""
    return first_reason(caption_rules(lang, limits))


def download_rules() -> list[tuple[str, Column]]:
    """Why a URL gave no image."""
    failed = F.col("status") != "success"
    known = [
        (reason, failed & F.col("error_message").rlike(f"(?i){pattern}"))
        for pattern, reason in DOWNLOAD_REASONS.items()
    ]
    return [*known, (OTHER_REASON, failed)]


def image_rules(limits: ImageLimits) -> list[tuple[str, Column]]:
    """Sizes in pixels of the image as stored; aspect is the longer side over the shorter."""
    shorter = F.least("width", "height")
    return [
        ("image_too_small", shorter < limits.min_side),
        ("image_bad_aspect", F.greatest("width", "height") > limits.max_aspect * shorter),
    ]


def placeholder_rules(limits: ImageLimits) -> list[tuple[str, Column]]:
    """The rule that needs all rows of an image content, on rows from `mark_placeholders`."""
    return [("placeholder_image", F.col("placeholder"))] if limits.max_captions else []


def mark_placeholders(rows: DataFrame, limits: ImageLimits) -> DataFrame:
    """Adds `placeholder`, true where the image's content came under too many different captions, else null.

    So does "image unavailable", of which one would be kept with a caption of chance. All downloaded rows
    count. Without a limit there is no such column. Contents and captions are told apart by 64 bits each. The
    list of placeholders goes to every task; it has at most one row in `max_captions`.
    """
    if not limits.max_captions:
        return rows
    content = F.when(F.col("sha256").isNotNull(), F.xxhash64("sha256"))
    captions = F.xxhash64(*[F.lower(stripped(lang)) for lang in LANGUAGES])
    downloaded = rows.where("status = 'success' and sha256 is not null")
    # Each (content, caption) is counted where it lies: a placeholder's many rows are never one task's.
    seen = downloaded.select(content.alias("_content"), captions.alias("_captions")).distinct()
    counts = seen.groupBy("_content").count().where(F.col("count") > limits.max_captions)
    found = counts.select("_content", F.lit(True).alias("placeholder"))
    return rows.withColumn("_content", content).join(F.broadcast(found), "_content", "left").drop("_content")


def duplicate_rules() -> list[tuple[str, Column]]:
    """`copy` is the row's rank among the rows of one image content (see `filter_pairs`)."""
    return [("duplicate_image", F.col("copy") > 1)]
