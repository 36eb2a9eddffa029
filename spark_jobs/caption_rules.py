"""Caption rules: length, script, contacts, file names, boilerplate, foreign languages, words from a list.

Captions come cleaned (spark_jobs/clean_captions.py). Native columns as far as they go; the two last run in
Python and only where the recipe asks for them (spark_jobs/caption_udfs.py). Script decides what it can:
Chinese has Han and neither kana nor hangul, English has Latin and no script of another language. A model
reads short Chinese as Japanese, so it is asked about Latin script alone.

Left out on purpose: names, parts of speech, politics. They need models of their own.
"""

import tomllib
from functools import cache
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from infra.text_lines import read_lines
from spark_jobs import caption_udfs
from spark_jobs.clean_captions import stripped
from spark_jobs.limits import CaptionLimits

LANGUAGES = ("zh", "en")
PATTERNS = Path(__file__).with_name("patterns.toml")

# Code points rather than names of scripts: Java looks a name up for each character, ten times as slow.
HAN = (
    r"\u4e00-\u9fff\u3400-\u4dbf\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\uf900-\ufaff"
    r"\x{20000}-\x{3ffff}"
)
LETTER = rf"[\p{{L}}\p{{N}}&&[^{HAN}]]"
# A word starts with a letter or a digit that is not shown as an emoji: a variation selector and the sign of a
# keycap are marks, and so may stand in a word but start none.
WORD = rf"[{HAN}]|{LETTER}(?!\ufe0f|\u20e3)[\p{{L}}\p{{M}}\p{{N}}&&[^{HAN}]]*+"
KANA_OR_HANGUL = (
    r"[\u3041-\u309f\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uffdc\u1100-\u11ff\u3131-\u318e"
    r"\uac00-\ud7a3]"
)
# Letters of blocks other than those of Latin, Greek, phonetics and letters that serve as symbols.
LATIN_OR_GREEK = (
    r"\x00-\u03ff\u1d00-\u1dbf\u1e00-\u1fff\u2070-\u209c\u2100-\u2188\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"
    r"\ufb00-\ufb06\uff21-\uff5a\x{10780}-\x{107bf}\x{1d400}-\x{1d7ff}\x{1df00}-\x{1dfff}"
)
NOT_ENGLISH = rf"[\p{{L}}&&[^{LATIN_OR_GREEK}]]|[{HAN}]"
WORD_START = "(?<![a-z])"


def caption_rules(lang: str, limits: CaptionLimits) -> list[tuple[str, Column]]:
    """The rules that look at one caption of the column `lang`, cheap ones first."""
    caption = stripped(lang)
    return [
        (f"{lang}_missing", caption.isNull() | (caption == "")),
        *_length_rules(lang, caption, limits),
        (f"{lang}_wrong_language", _wrong_script(lang, caption)),
        *_pattern_rules(lang, caption, limits),
        *_python_rules(lang, caption, limits),
    ]


def _length_rules(lang: str, caption: Column, limits: CaptionLimits) -> list[tuple[str, Column]]:
    num_words = F.regexp_count(caption, F.lit(WORD))
    return [
        (f"{lang}_too_short", F.length(caption) < limits.min_chars),
        (f"{lang}_too_long", F.length(caption) > limits.max_chars),
        (f"{lang}_too_few_words", num_words < limits.min_words),
        # No caption has more words than characters, and most are too short to be counted.
        (f"{lang}_too_many_words", (F.length(caption) > limits.max_words) & (num_words > limits.max_words)),
    ]


def _wrong_script(lang: str, caption: Column) -> Column:
    """A caption without any letter, such as a price, passes as English."""
    if lang == "zh":
        return ~caption.rlike(f"[{HAN}]") | caption.rlike(KANA_OR_HANGUL)
    is_ascii = F.octet_length(caption) == F.length(caption)
    return (~is_ascii & caption.rlike(NOT_ENGLISH)) | ~caption.rlike(r"\p{IsLatin}|^\P{L}+$")


def _pattern_rules(lang: str, caption: Column, limits: CaptionLimits) -> list[tuple[str, Column]]:
    allowed = {
        "url": limits.allow_contacts,
        "email": limits.allow_contacts,
        "phone": limits.allow_contacts,
        "file_name": limits.allow_file_names,
        "boilerplate": limits.allow_boilerplate,
    }
    return [
        (f"{lang}_{name}", _matches(caption, name, lang))
        for name, is_allowed in allowed.items()
        if not is_allowed
    ]


def _matches(caption: Column, name: str, lang: str) -> Column:
    """Most captions lack a character that all of a rule's matches have, which is quick to see."""
    needed = {
        "url": caption.contains("."),
        "email": caption.contains("@"),
        "phone": caption.rlike("[0-9]"),
    }
    found = caption.rlike(pattern_of(name, lang))
    return needed[name] & found if name in needed else found


@cache
def pattern_of(name: str, lang: str) -> str:
    """One regular expression of the patterns under a name in patterns.toml, for captions in a language."""
    lists = tomllib.loads(PATTERNS.read_text())[name]
    found = [pattern for kind in ("any", lang) for pattern in lists.get(kind, [])]
    # What must start the caption is tried at its start alone.
    whole = "|".join(pattern.removeprefix("^") for pattern in found if pattern.startswith("^"))
    parts = [pattern for pattern in found if not pattern.startswith("^")]
    # What starts a word is tried where one starts.
    starts = [part.removeprefix(WORD_START) for part in parts if part.startswith(WORD_START)]
    parts = [part for part in parts if not part.startswith(WORD_START)]
    joined = [f"^(?:{whole})"] * bool(whole) + parts + [f"{WORD_START}(?:{'|'.join(starts)})"] * bool(starts)
    return f"(?i){'|'.join(joined)}"


def _python_rules(lang: str, caption: Column, limits: CaptionLimits) -> list[tuple[str, Column]]:
    rules = []
    if limits.sensitive_words is not None:
        words = read_lines(Path(limits.sensitive_words.path))
        rules.append((f"{lang}_sensitive", caption_udfs.has_words(words)(caption)))
    if lang != "zh" and limits.max_foreign_score < 1:
        foreign = caption_udfs.foreign_score(lang)(caption) > limits.max_foreign_score
        rules.append((f"{lang}_wrong_language", foreign))
    return rules


def repeat_rules(lang: str, limits: CaptionLimits) -> list[tuple[str, Column]]:
    """The rule that needs the whole data set, on rows from `mark_repeated`."""
    return [(f"{lang}_repeated", F.col(f"{lang}_repeated"))] if limits.max_repeats else []


def mark_repeated(
    rows: DataFrame, limits: dict[str, CaptionLimits], counted: Column | None = None
) -> DataFrame:
    """Adds `zh_repeated` or `en_repeated`, true where the caption stands in too many rows, else null.

    Only rows for which `counted` holds are counted. A language without a limit gets no column. Upper and
    lower case are one. Captions are told apart by 64 bits: two of a hundred million share them with a chance
    of 3 in 10,000. The list of the repeated goes to every task; it has at most one row in `max_repeats`.
    """
    rows_counted = rows if counted is None else rows.where(counted)
    limited = {lang: limit.max_repeats for lang, limit in limits.items() if limit.max_repeats}
    found = {lang: _repeated(rows_counted, lang, max_repeats) for lang, max_repeats in limited.items()}
    for lang, repeated in found.items():
        hashed = rows.withColumn("_hash", _hash(lang))
        rows = hashed.join(F.broadcast(repeated), "_hash", "left").drop("_hash")
    return rows


def _hash(lang: str) -> Column:
    """Null for a caption that is missing."""
    return F.when(F.col(lang).isNotNull(), F.xxhash64(F.lower(stripped(lang))))


def _repeated(rows: DataFrame, lang: str, max_repeats: int) -> DataFrame:
    """The hashes of the captions that stand in too many rows, each beside a true `zh_repeated`."""
    counts = rows.where(F.col(lang).isNotNull()).groupBy(_hash(lang).alias("_hash")).count()
    return counts.where(F.col("count") > max_repeats).select("_hash", F.lit(True).alias(f"{lang}_repeated"))
