"""Balance of the selected pairs: between the languages, and between frequent and rare words.

What goes is drawn by a hash of the pair's key, so that a rerun draws the same.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.rules import LANGUAGES

WORD_REASON, LANGUAGE_REASON = "word_balance", "language_balance"


def chance(*columns: Column | str, seed: int) -> Column:
    """A number in [0, 1) that is fixed by these columns."""
    return F.pmod(F.xxhash64(*columns, F.lit(seed)), F.lit(2**40)) / F.lit(float(2**40))


def words_of(lang: str) -> Column:
    """The different words of a caption: English by letters and digits, Chinese as pairs of characters."""
    if lang == "en":
        return F.array_distinct(F.regexp_extract_all(F.lower("en"), F.lit(r"([\p{L}\p{N}']+)"), 1))
    han = F.regexp_replace("zh", r"\P{IsHan}", "")
    pairs = F.transform(F.sequence(F.lit(1), F.length(han) - 1), lambda at: han.substr(at, F.lit(2)))
    return F.array_distinct(F.when(F.length(han) > 1, pairs).otherwise(F.array(han)))


def used_words(rows: DataFrame) -> DataFrame:
    """One row a pair and word of its captions in use: key, word."""
    found = [F.when(F.col(f"use_{lang}"), words_of(lang)) for lang in LANGUAGES]
    words = F.concat(*[F.coalesce(item, F.array().cast("array<string>")) for item in found])
    return rows.select("key", F.explode(words).alias("word")).where("word != ''")


def balance_words(rows: DataFrame, max_count: int, seed: int) -> DataFrame:
    """Thin out pairs of frequent words alone, as MetaCLIP does (arXiv 2309.16671).

    A word in `count` pairs asks for each with chance max_count / count, a rare one for all; a pair that no
    word asks for gets a reason.
    """
    words = used_words(rows.where("reason is null"))
    frequent = words.groupBy("word").count().where(F.col("count") > max_count)
    asked = F.col("count").isNull() | (chance("key", "word", seed=seed) < F.lit(max_count) / F.col("count"))
    # At most (number of words / max_count) words are frequent.
    wanted = (
        words.join(F.broadcast(frequent), "word", "left").groupBy("key").agg(F.max(asked).alias("wanted"))
    )
    reason = F.when(F.col("reason").isNull() & ~F.col("wanted"), F.lit(WORD_REASON))
    joined = rows.join(wanted, "key", "left")
    return joined.withColumn("reason", F.coalesce("reason", reason)).drop("wanted")


def balance_languages(rows: DataFrame, max_ratio: float, seed: int) -> DataFrame:
    """Thin out pairs of one language alone until it has at most `max_ratio` times the other's captions.

    Pairs with both captions stay, and so does everything where the other language has no caption at all.
    """
    rows = rows.cache()
    of, alone = {}, {}
    for lang, other in zip(LANGUAGES, reversed(LANGUAGES), strict=True):
        of[lang] = F.col(f"use_{lang}")
        alone[lang] = of[lang] & ~F.col(f"use_{other}")
    counts = [F.count_if(of[lang]).alias(f"num_{lang}") for lang in LANGUAGES]
    counts += [F.count_if(alone[lang]).alias(f"num_only_{lang}") for lang in LANGUAGES]
    counted = rows.crossJoin(F.broadcast(rows.where("reason is null").agg(*counts)))
    drawn = F.lit(False)
    for lang, other in zip(LANGUAGES, reversed(LANGUAGES), strict=True):
        excess = F.col(f"num_{lang}") - max_ratio * F.col(f"num_{other}")
        share = F.when(F.col(f"num_{other}") > 0, excess / F.col(f"num_only_{lang}"))
        drawn = drawn | (alone[lang] & (chance("key", seed=seed) < F.coalesce(share, F.lit(0.0))))
    reason = F.when(F.col("reason").isNull() & drawn, F.lit(LANGUAGE_REASON))
    names = [f"num_{lang}" for lang in LANGUAGES] + [f"num_only_{lang}" for lang in LANGUAGES]
    return counted.withColumn("reason", F.coalesce("reason", reason)).drop(*names)
