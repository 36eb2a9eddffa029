"""What a character is, letter, digit, mark or emoji, is a matter of its Unicode properties."""

import pytest

from spark_jobs.caption_rules import LANGUAGES
from tests.spark_jobs.test_caption_rules import ANY_WORDS, LONG, reasons

# An emoji is no word, whatever its characters are: variation selectors, joiners, skin tones, keycaps, flags.
EMOJI = [
    "❤️ " * 6,
    "❤️" * 6,
    "👨\u200d👩\u200d👧\u200d👦 👍🏽 🏳️\u200d🌈 ☀️",
    "1️⃣ 2️⃣ 3️⃣ #️⃣ *️⃣",
    "1⃣ 2⃣ 3⃣",
    "🇨🇳 🇬🇧 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🅰️ ™️ ℹ️",
]
CAPTIONS = [(lang, text, f"{lang}_too_few_words") for lang in LANGUAGES for text in EMOJI]
CAPTIONS += [
    ("en", "I ❤️ cats", "en_too_few_words"),
    ("en", "I ❤️ my cats", None),
    ("en", "10 red cats 👍🏽", None),
    ("en", "cafe\u0301 au lait", None),
    ("en", "the N\u0303 letter", None),
    ("zh", "❤️猫❤️狗", "zh_too_few_words"),
    ("zh", "葛󠄀城市", None),
    ("en", "٣ cats on ٤ sofas", None),
    ("en", "a cat・on a sofa", None),
    ("en", "a cat and Ա", "en_wrong_language"),
    ("en", "a cat and 𐌀𐌁", "en_wrong_language"),
    ("en", "a naïve ﬁsh µm ℓ", None),
    ("zh", "加QQ：1234567", "zh_boilerplate"),
    ("zh", "微信：abc_123", "zh_boilerplate"),
    ("zh", "电话1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣", "zh_too_few_words"),
]
WITHOUT_WORDS = [
    ("zh", "电话1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", "zh_phone"),
    ("en", "❤️ ❤️ ❤️", None),
]


@pytest.fixture(scope="module")
def found(spark) -> dict:
    """Reasons by limits, language and caption."""
    return {LONG: reasons(spark, LONG, CAPTIONS), ANY_WORDS: reasons(spark, ANY_WORDS, WITHOUT_WORDS)}


@pytest.mark.parametrize("lang, caption, reason", CAPTIONS)
def test_words_scripts_and_contacts(found, lang, caption, reason):
    assert found[LONG][lang, caption] == reason


@pytest.mark.parametrize("lang, caption, reason", WITHOUT_WORDS)
def test_an_emoji_alone_passes_where_no_words_are_asked_for(found, lang, caption, reason):
    assert found[ANY_WORDS][lang, caption] == reason
