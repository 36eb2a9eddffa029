"""The tokenizer: both languages there and back, and its limits."""

import pytest
from tokenizers import Tokenizer
from toy_training import TEXTS
from transformers import PreTrainedTokenizerFast

from training.simplified import as_learned
from training.tokenizer import (
    load_tokenizer,
    make_normalizer,
    sample_texts,
    tokens_per_text,
    train_tokenizer,
    unknown_share,
)

CHINESE = ["红色的柠檬", "红色", "柠檬", "一只猫在红色的房子里"]
ENGLISH = ["a red lemon", "Café au lait", "a cat in the red house"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(CHINESE + ENGLISH, vocab_size=300, max_tokens=12)


@pytest.mark.parametrize("text", [*CHINESE, "猫的房子", "红柠檬", *ENGLISH, "the cat", "red cat 柠檬"])
def test_text_comes_back_lower_case(tokenizer, text):
    tokens = tokenizer(text)["input_ids"]
    back = tokenizer.decode(tokens, skip_special_tokens=True)
    assert back.replace(" ", "") == text.lower().replace(" ", "")


def test_case_does_not_matter(tokenizer):
    assert tokenizer("A RED Lemon")["input_ids"] == tokenizer("a red lemon")["input_ids"]


FORMS = {
    "ｌｅｍｏｎ": "lemon",
    "ＲＥＤ　Ｌｅｍｏｎ": "red lemon",
    "𝓵𝓮𝓶𝓸𝓷": "lemon",
    "Cafe\u0301 au lait": "café au lait",
    "红\u00a0色": "红 色",
    "柠檬\U000e0100": "柠檬",
    "lemon\ufe0f": "lemon",
    # A compatibility ideograph.
    "\u2f64": "用",
}


@pytest.mark.parametrize("form", FORMS)
def test_compatible_forms_are_one_in_every_runtime(form, tmp_path):
    """Full-width letters were [UNK], at a cosine of 0.04 to what they mean."""
    tokenizer = train_tokenizer([*CHINESE, *ENGLISH, "用"], vocab_size=300, max_tokens=12)
    tokenizer.save_pretrained(tmp_path)
    plain = tokenizer(FORMS[form])["input_ids"]
    assert tokenizer.unk_token_id not in plain
    assert tokenizer(form)["input_ids"] == plain
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(form).ids == plain
    assert load_tokenizer(tmp_path)(form)["input_ids"] == plain


def test_a_word_that_is_only_written_in_another_form_is_learned_plain():
    tokenizer = train_tokenizer(["ｂａｎａｎａ １２３", *ENGLISH], vocab_size=300, max_tokens=12)
    assert tokenizer.tokenize("BANANA") == ["banana"]
    assert not any("\uff00" <= char <= "\uffee" for token in tokenizer.get_vocab() for char in token)


def test_ordinary_texts_make_the_vocabulary_that_they_made_before():
    texts = [*CHINESE, *ENGLISH, *TEXTS, "naïve – “quoted”"]
    assert [make_normalizer().normalize_str(text) for text in texts] == [text.lower() for text in texts]


def test_traditional_characters_are_asked_in_those_that_were_learned(tokenizer):
    assert as_learned("檸檬", tokenizer) == "柠檬"
    assert as_learned("一隻貓 lemon", tokenizer) == "一只猫 lemon"
    assert [as_learned(text, tokenizer) for text in ("柠檬", "lemon", "龘")] == ["柠檬", "lemon", "龘"]
    traditional = train_tokenizer(["檸檬", "一隻貓"], vocab_size=300, max_tokens=12)
    assert as_learned("檸檬", traditional) == "檸檬"


def test_accents_do_matter(tokenizer):
    assert "café" in tokenizer.decode(tokenizer("CAFÉ")["input_ids"])


@pytest.mark.parametrize("word", ["红色", "柠檬", "lemon", "cat"])
def test_a_word_that_was_seen_is_one_token(tokenizer, word):
    assert tokenizer.tokenize(word) == [word]


@pytest.mark.parametrize("text", ["红色柠檬", "一只柠檬", "猫的柠檬", "redlemon", "red lemon"])
def test_a_word_is_one_token_wherever_it_stands(tokenizer, text):
    assert tokenizer.tokenize(text)[-1] in ("柠檬", "lemon")


def test_han_that_forms_no_known_word_falls_into_characters(tokenizer):
    assert tokenizer.tokenize("猫里房") == ["猫", "里", "房"]


def test_an_unknown_character_costs_only_itself(tokenizer):
    tokens = tokenizer.tokenize("红色的龘柠檬")
    assert tokens.count("[UNK]") == 1
    assert "柠檬" in tokens


def test_a_long_chinese_text_is_cut_and_not_lost(tokenizer):
    assert tokenizer.unk_token_id not in tokenizer("红色的柠檬" * 21, truncation=True)["input_ids"]


@pytest.mark.parametrize("vocab_size", [40, 120, 400])
def test_the_vocabulary_has_a_limit(vocab_size):
    words = [f"{first}{second}ing" for first in "абвгдежзиклмнопрст" for second in "abcdefghijklmnopqrst"]
    tokenizer = train_tokenizer([*words, *TEXTS, *CHINESE], vocab_size, 16)
    assert len(tokenizer) <= vocab_size
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_long_texts_are_cut(tokenizer):
    tokens = tokenizer(["a red lemon " * 20, "柠檬"], padding=True, truncation=True)
    assert [len(row) for row in tokens["input_ids"]] == [12, 12]
    assert [sum(row) for row in tokens["attention_mask"]] == [12, 3]


def test_gives_what_the_text_tower_takes(tokenizer):
    assert set(tokenizer("a lemon")) == {"input_ids", "attention_mask"}


def test_same_texts_give_the_same_tokenizer():
    vocabularies = [train_tokenizer(iter(CHINESE + ENGLISH), 300, 12).get_vocab() for _ in range(2)]
    assert vocabularies[0] == vocabularies[1]


def test_texts_without_order_among_them_still_give_the_same_tokenizer():
    """Many words of one frequency: where a hash map decided ties, two runs differed."""
    words = [f"{first}{second}ing{first}" for first in "bcdfghjklm" for second in "aeiouy"]
    vocabularies = [train_tokenizer(words * 3, 160, 12).get_vocab() for _ in range(4)]
    assert all(vocabulary == vocabularies[0] for vocabulary in vocabularies)


def test_few_texts_are_all_kept_in_order():
    texts = [f"text {number}" for number in range(20)]
    assert sample_texts(iter(texts), 20) == (texts, 20)
    assert sample_texts(iter([]), 20) == ([], 0)


def test_of_many_texts_an_even_sample_is_kept_in_order():
    kept, num = sample_texts((f"{number:05d}" for number in range(20_000)), 2_000)
    assert (len(kept), num) == (2_000, 20_000)
    assert kept == sorted(kept)
    halves = sum(int(text) < 10_000 for text in kept)
    assert 850 < halves < 1_150  # 1,000 and more than six standard deviations either side
    assert kept == sample_texts((f"{number:05d}" for number in range(20_000)), 2_000)[0]


def test_frequent_runs_of_han_become_words_though_no_text_names_them():
    """A caption of millions has the words that a list would name."""
    captions = [
        f"{one}黄色的柠檬{other}"
        for one in "猫狗鸟鱼马"
        for other in "大小多少高低远近长短"
        for _ in range(4)
    ]
    tokenizer = train_tokenizer(captions, 200, 32)
    assert len(tokenizer.tokenize("黄色的柠檬")) <= 2
    assert "".join(tokenizer.tokenize("黄色的柠檬")) == "黄色的柠檬"
    rare = train_tokenizer(captions[:28:4], 200, 32)
    assert len(rare.tokenize("黄色的柠檬")) == 5


def test_tokens_are_counted_by_language(tokenizer):
    assert tokens_per_text(tokenizer, ["红色", "红色的柠檬 lemon", "lemon"]) == {
        "zh": pytest.approx((3 + len(tokenizer("红色的柠檬 lemon")["input_ids"])) / 2),
        "en": 3.0,
    }
    assert tokens_per_text(tokenizer, ["lemon " * 30]) == {"en": 32.0}


def test_saved_and_loaded_is_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    texts = [*CHINESE, *ENGLISH, "A RED café 猫", "unseen ☃ 龘"]
    options = {"padding": True, "truncation": True}
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert dict(loaded(texts, **options)) == dict(tokenizer(texts, **options))


def test_the_share_of_unknown_tokens_tells_whether_a_vocabulary_fits(tokenizer):
    assert unknown_share(tokenizer, CHINESE + ENGLISH) == 0
    assert unknown_share(tokenizer, ["龘龘", "a red house"]) == 2 / 5
    assert unknown_share(tokenizer, []) == 0
