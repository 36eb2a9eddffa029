"""Filter rules: each a snake_case reason and the condition that calls for it.

A rule is a native Spark column, so no row crosses into Python. Pair rules drop the pair; caption rules
drop one caption, and the pair with its last caption.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from infra.crawl_reasons import DOWNLOAD_REASONS, OTHER_REASON

LANGUAGES = ("zh", "en")


def first_reason(rules: list[tuple[str, Column]]) -> Column:
    """The reason of the first rule whose condition holds, null when none does."""
    return F.coalesce(*[F.when(condition, F.lit(reason)) for reason, condition in rules])


def download_rules() -> list[tuple[str, Column]]:
    """Why a URL gave no image."""
    failed = F.col("status") != "success"
    known = [
        (reason, failed & F.col("error_message").rlike(f"(?i){pattern}"))
        for pattern, reason in DOWNLOAD_REASONS.items()
    ]
    return [*known, (OTHER_REASON, failed)]


def image_rules(min_side: int, max_aspect: float) -> list[tuple[str, Column]]:
    """Sizes in pixels of the image as stored; aspect is the longer side over the shorter."""
    shorter = F.least("width", "height")
    return [
        ("image_too_small", shorter < min_side),
        ("image_bad_aspect", F.greatest("width", "height") > max_aspect * shorter),
    ]


def duplicate_rules() -> list[tuple[str, Column]]:
    """`copy` is the row's rank among the rows of one image content (see `filter_pairs`)."""
    return [("duplicate_image", F.col("copy") > 1)]


def stripped(column: str) -> Column:
    """Text without white space around it, ideographic spaces included."""
    return F.regexp_replace(column, r"^[\s\p{Z}]+|[\s\p{Z}]+$", "")


def caption_rules(lang: str, min_chars: int, max_chars: int) -> list[tuple[str, Column]]:
    """Length in characters, and script: Chinese has Han and no kana, English has Latin and no Han."""
    caption = stripped(lang)
    has_han = caption.rlike(r"\p{IsHan}")
    wrong = {
        "zh": ~has_han | caption.rlike(r"[\p{IsHiragana}\p{IsKatakana}]"),
        "en": has_han | ~caption.rlike(r"\p{IsLatin}|^\P{L}+$"),
    }
    return [
        (f"{lang}_missing", caption.isNull() | (caption == "")),
        (f"{lang}_too_short", F.length(caption) < min_chars),
        (f"{lang}_too_long", F.length(caption) > max_chars),
        (f"{lang}_wrong_language", wrong[lang]),
    ]
