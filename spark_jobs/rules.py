"""Filter rules: each a snake_case reason and the condition that calls for it.

The entry to all of them: captions (spark_jobs/caption_rules.py), downloads and images as recorded (here),
pixels (spark_jobs/pixels.py). A rule is a native Spark column, so no row crosses into Python, except where
the recipe asks for a model or a list of words. Pair rules drop the pair; caption rules drop one caption, and
the pair with its last caption.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

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
    "mark_repeated",
    "repeat_rules",
    "stripped",
]

# How the messages of components.crawl_guard start.
REFUSALS = (
    "bad_url",
    "forbidden_scheme",
    "forbidden_address",
    "too_many_redirects",
    "too_many_bytes",
    "too_many_pixels",
    "too_slow",
    "not_an_image",
)
# What the crawl writes as an error, as a pattern, and our word for it; the first match counts.
DOWNLOAD_REASONS = {
    **{f"^{reason}: ": reason for reason in REFUSALS},
    r"disallowed by X-Robots-Tag": "opted_out",
    r"HTTP Error (\d+)": "http_error",
    r"certificate|\[SSL": "bad_certificate",
    r"timed? ?out": "timed_out",
    r"CV_IO_MAX_IMAGE": "too_many_pixels",
    r"decoding error|cannot identify": "not_an_image",
    r"refused|unreachable|Name or service|name resolution|nodename": "no_answer",
}


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
    return [*known, ("download_failed", failed)]


def image_rules(limits: ImageLimits) -> list[tuple[str, Column]]:
    """Sizes in pixels of the image as stored; aspect is the longer side over the shorter."""
    shorter = F.least("width", "height")
    return [
        ("image_too_small", shorter < limits.min_side),
        ("image_bad_aspect", F.greatest("width", "height") > limits.max_aspect * shorter),
    ]


def duplicate_rules() -> list[tuple[str, Column]]:
    """`copy` is the row's rank among the rows of one image content (see `filter_pairs`)."""
    return [("duplicate_image", F.col("copy") > 1)]
