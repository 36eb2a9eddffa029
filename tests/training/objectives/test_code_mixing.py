"""Code mixing: a lexicon read off parallel captions, and captions with words of both languages."""

import random

import pytest

from training.objectives.code_mixing import Lexicon, chinese_words, english_words, learn_lexicon, mix
from training.tokenizer import train_tokenizer

CAPTIONS = [
    ("红色 猫", "red cat"),
    ("红色 狗", "red dog"),
    ("红色 鱼", "red fish"),
    ("黑色 猫", "black cat"),
    ("黑色 狗", "black dog"),
    ("太阳", "sun"),
]
WORDS = {"红色": "red", "黑色": "black", "猫": "cat", "狗": "dog", "太阳": "sun"}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*WORDS, *WORDS.values(), *(text for pair in CAPTIONS for text in pair)], 300, 16)


@pytest.fixture(scope="module")
def lexicon(tokenizer) -> Lexicon:
    return learn_lexicon(CAPTIONS, tokenizer)


def test_words_are_found_where_they_stand(tokenizer):
    assert chinese_words("the 红色猫!", tokenizer) == [(4, 6), (6, 7)]
    assert english_words("Red-cat 猫 x") == [(0, 3), (4, 7)]


def test_lexicon_has_what_stands_together_and_not_what_met_once(lexicon):
    assert lexicon.into["en"] == WORDS
    assert lexicon.into["zh"] == {en: zh for zh, en in WORDS.items()}
    assert len(lexicon) == 5


def test_lexicon_does_not_depend_on_the_order_of_captions(lexicon, tokenizer):
    assert learn_lexicon(CAPTIONS[::-1], tokenizer) == lexicon


def test_each_word_has_one_partner(lexicon):
    assert len(set(lexicon.into["en"].values())) == len(lexicon)


@pytest.mark.parametrize(
    "lang, possible",
    [
        ("en", {"红色 cat here", "Red 猫 here", "红色 猫 here"}),
        ("zh", {"red 猫", "红色 cat", "red cat"}),
    ],
)
def test_some_known_words_are_exchanged(lang, possible, lexicon, tokenizer):
    captions = {"zh": "红色 猫", "en": "Red cat here"}
    found = {mix(captions, lang, lexicon, tokenizer, random.Random(seed)) for seed in range(40)}
    assert found == possible


def test_same_chance_same_caption(lexicon, tokenizer):
    captions = {"zh": "红色 猫", "en": "red cat"}
    first, second = (mix(captions, "en", lexicon, tokenizer, random.Random(3)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("lang, expected", [("en", "a tree 树"), ("zh", "树 a tree")])
def test_without_a_known_word_the_translation_follows(lang, expected, lexicon, tokenizer):
    assert mix({"zh": "树", "en": "a tree"}, lang, lexicon, tokenizer, random.Random(0)) == expected
