"""Balance: rare words keep their pairs, frequent ones share, and no language drowns the other."""

import pytest

from spark_jobs.balance import LANGUAGE_REASON, WORD_REASON, balance_languages, balance_words, words_of

COLUMNS = "key string, zh string, en string, use_zh boolean, use_en boolean, reason string"


def pairs(spark, rows: list[tuple]):
    """Pairs of (zh, en); a caption that is there is used."""
    table = [(f"{n:05d}", zh, en, zh is not None, en is not None, None) for n, (zh, en) in enumerate(rows)]
    return spark.createDataFrame(table, COLUMNS)


@pytest.mark.parametrize(
    ("lang", "caption", "words"),
    [
        ("en", "A dog's Tail, a dog", ["a", "dog's", "tail", "dog"]),
        ("en", "!!", []),
        ("zh", "红色的红色", ["红色", "色的", "的红"]),
        ("zh", "猫!", ["猫"]),
        ("zh", "123", [""]),
    ],
)
def test_words_of_a_caption(spark, lang, caption, words):
    rows = spark.createDataFrame([(caption,)], f"{lang} string")
    assert rows.select(words_of(lang).alias("words")).first()["words"] == words


@pytest.fixture(scope="module")
def wordy(spark):
    """1,000 pairs of a frequent word, 20 of them with a rare one; and pairs of no word in use."""
    rows = [(None, "photo" if n >= 20 else f"photo rare{n}") for n in range(1_000)]
    return pairs(spark, [*rows, (None, "!!"), ("照片", None)])


def test_a_frequent_word_keeps_about_as_many_pairs_as_it_may(wordy):
    dropped = {row["key"] for row in balance_words(wordy, 100, 0).where("reason is not null").collect()}
    assert len(dropped) == pytest.approx(980 - 98, abs=40)


def test_rare_words_and_none_keep_their_pairs(wordy):
    kept = {row["key"] for row in balance_words(wordy, 100, 0).where("reason is null").collect()}
    assert {f"{n:05d}" for n in (*range(20), 1_000, 1_001)} <= kept


def test_the_draw_depends_on_the_seed_alone(wordy):
    def kept(seed: int) -> list[str]:
        return sorted(row["key"] for row in balance_words(wordy, 100, seed).where("reason is null").collect())

    assert kept(0) == kept(0)
    assert kept(0) != kept(1)


def test_reasons_that_are_there_stay_and_their_words_do_not_count(spark):
    rows = spark.createDataFrame(
        [(str(n), None, "photo", False, True, "low_teacher_score" if n else None) for n in range(50)], COLUMNS
    )
    reasons = {row["key"]: row["reason"] for row in balance_words(rows, 1, 0).collect()}
    assert reasons["0"] is None
    assert {reasons[str(n)] for n in range(1, 50)} == {"low_teacher_score"}


def test_a_language_is_cut_to_its_ratio_and_both_captions_stay(spark):
    rows = pairs(spark, [("猫", None)] * 900 + [("猫", "cat")] * 100)
    judged = balance_languages(rows, 2.0, 0)
    kept = judged.where("reason is null")
    assert kept.count() == pytest.approx(200, abs=30)
    assert kept.where("use_en").count() == 100
    assert {row["reason"] for row in judged.where("reason is not null").collect()} == {LANGUAGE_REASON}
    assert judged.columns == rows.columns


@pytest.mark.parametrize(
    "rows",
    [[("猫", None)] * 20, [("猫", None)] * 20 + [(None, "cat")] * 10],
    ids=["one language", "in ratio"],
)
def test_nothing_is_cut_without_need(spark, rows):
    assert balance_languages(pairs(spark, rows), 2.0, 0).where("reason is not null").count() == 0


def test_reasons_have_names():
    assert (WORD_REASON, LANGUAGE_REASON) == ("word_balance", "language_balance")
