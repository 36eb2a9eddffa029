"""The filter rules once more, in pandas: the baseline of bench_rules.py, and a check of the Spark rules.

Straight Python: one function a caption that stops at the first rule, value counts and duplicates by pandas.
Left out on purpose: pixels, word lists and models, which Python does in both.
"""

import html
from pathlib import Path

import pandas as pd
import regex

from spark_jobs.caption_rules import pattern_of
from spark_jobs.clean_captions import folds, without_markup
from spark_jobs.limits import CaptionLimits, ImageLimits
from spark_jobs.rules import DOWNLOAD_REASONS, LANGUAGES

SPACE = regex.compile(r"[\s\p{Z}]+")
UNSEEN = regex.compile(
    r"[[\p{Cc}\p{Cf}\p{Noncharacter_Code_Point}]--[\s\u200c\u200d\U000e0020-\U000e007f]]", regex.V1
)
WORD = regex.compile(
    r"\p{Han}|[[\p{L}\p{N}]--\p{Han}](?![\ufe0f\u20e3])[[\p{L}\p{M}\p{N}]--\p{Han}]*", regex.V1
)
HAN = regex.compile(r"\p{Han}")
KANA_OR_HANGUL = regex.compile(r"[\p{Hiragana}\p{Katakana}\p{Hangul}]")
NOT_ENGLISH = regex.compile(r"\p{Han}|[\p{L}--[\p{Latin}\p{Greek}\p{Common}]]", regex.V1)
ENGLISH = regex.compile(r"\p{Latin}|^\P{L}+$")
DOWNLOADS = [(regex.compile(f"(?i){pattern}"), reason) for pattern, reason in DOWNLOAD_REASONS.items()]
NAMES = ("url", "email", "phone", "file_name", "boilerplate")
PATTERNS = {lang: {name: regex.compile(pattern_of(name, lang)) for name in NAMES} for lang in LANGUAGES}


def cleaned(caption: str | None) -> str | None:
    """The caption as people would see it."""
    if caption is None:
        return None
    if "&" in caption or "<" in caption:
        caption = without_markup(caption)
        for _ in range(2):
            caption = html.unescape(regex.sub("&(?:amp;)+", "&", caption))
        caption = without_markup(caption)
    caption = caption if caption.isascii() else "".join(folds().get(char, char) for char in caption)
    return SPACE.sub(" ", UNSEEN.sub("", caption)).strip(" ")


def caption_reason(lang: str, caption: str | None, limits: CaptionLimits) -> str | None:
    """Why a cleaned caption goes."""
    if not caption:
        return f"{lang}_missing"
    if len(caption) < limits.min_chars:
        return f"{lang}_too_short"
    if len(caption) > limits.max_chars:
        return f"{lang}_too_long"
    num_words = len(WORD.findall(caption))
    if num_words < limits.min_words:
        return f"{lang}_too_few_words"
    if num_words > limits.max_words:
        return f"{lang}_too_many_words"
    if is_foreign(lang, caption):
        return f"{lang}_wrong_language"
    return next(
        (f"{lang}_{name}" for name, pattern in PATTERNS[lang].items() if pattern.search(caption)), None
    )


def is_foreign(lang: str, caption: str) -> bool:
    """By script."""
    if lang == "zh":
        return not HAN.search(caption) or bool(KANA_OR_HANGUL.search(caption))
    return bool(NOT_ENGLISH.search(caption)) or not ENGLISH.search(caption)


def pair_reason(row, limits: ImageLimits) -> str | None:
    """Why a pair goes for its download or its size."""
    if row.status != "success":
        message = row.error_message or ""
        return next((name for pattern, name in DOWNLOADS if pattern.search(message)), "download_failed")
    shorter = min(row.width, row.height)
    if shorter < limits.min_side:
        return "image_too_small"
    if max(row.width, row.height) > limits.max_aspect * shorter:
        return "image_bad_aspect"
    return None


def is_placeholder(rows: pd.DataFrame, limits: ImageLimits) -> pd.Series:
    """Whether a row's image content came under too many different captions."""
    texts = [rows[lang].fillna("").str.lower() for lang in LANGUAGES]
    seen = pd.DataFrame({"sha256": rows["sha256"], "captions": texts[0] + "\0" + texts[1]})
    counts = seen[rows["status"] == "success"].groupby("sha256")["captions"].nunique()
    return rows["sha256"].isin(counts.index[counts > limits.max_captions])


def judge(shards: Path, captions: dict[str, CaptionLimits], image: ImageLimits) -> pd.DataFrame:
    """All records with `zh_reason`, `en_reason` and `reason`."""
    rows = pd.concat(pd.read_parquet(path) for path in sorted(shards.glob("*.parquet")))
    for lang in LANGUAGES:
        limits = captions[lang]
        texts = [cleaned(caption) for caption in rows[lang]]
        rows[lang] = texts
        found = pd.Series([caption_reason(lang, text, limits) for text in texts], rows.index, dtype=object)
        lower = pd.Series([None if text is None else text.lower() for text in texts], rows.index)
        counts = lower[rows["status"] == "success"].value_counts()
        repeated = lower.isin(counts.index[counts > limits.max_repeats])
        rows[f"{lang}_reason"] = found.where(found.notna() | ~repeated, f"{lang}_repeated")
    reasons = pd.Series([pair_reason(row, image) for row in rows.itertuples()], rows.index, dtype=object)
    reasons = reasons.where(reasons.notna() | ~is_placeholder(rows, image), "placeholder_image")
    no_caption = rows["zh_reason"].notna() & rows["en_reason"].notna()
    last = rows["zh_reason"].where(rows["zh_reason"] != "zh_missing", rows["en_reason"])
    reasons = reasons.where(reasons.notna() | ~no_caption, last)
    good = rows[reasons.isna()].sort_values("key")
    copies = good["key"][good.duplicated("sha256")]
    return rows.assign(reason=reasons.where(~rows["key"].isin(copies), "duplicate_image"))
