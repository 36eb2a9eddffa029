"""The demo corpus: nothing of the exam is on the training side, and it is built once for its values."""

import io
import random
import re
import tarfile
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipelines.demo import (
    EXAM,
    DemoCorpus,
    Emoji,
    build_corpus,
    endless_deck,
    load_emoji,
    load_texts,
    split_concepts,
    vary,
)
from pipelines.recipes import RECIPES

# Skin tones and variation selectors: what is left is the same for all variants of an emoji.
TONES = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
CORPORA = [RECIPES["demo"]().corpus, RECIPES["smoke"]().corpus, DemoCorpus(seed=1), DemoCorpus(seed=2)]
TINY = DemoCorpus(num_unseen=5, max_concepts=8, max_words=100, num_phrases=30, num_variants=20)
CAPTIONS = {"zh": ["红苹果", "苹果"], "en": ["red apple", "apple"]}


@pytest.fixture(scope="module")
def emoji() -> list[Emoji]:
    """All of them."""
    return load_emoji()


@pytest.fixture(scope="module", params=CORPORA, ids=["demo", "smoke", "seed1", "seed2"])
def sides(request, emoji) -> tuple[list[Emoji], list[Emoji]]:
    """(training emoji, exam emoji)."""
    return split_concepts(emoji, request.param)


@pytest.mark.parametrize(
    "trait",
    [
        lambda item: item.text,
        lambda item: item.concept,
        lambda item: item.image.read_bytes(),
        lambda item: item.captions["zh"].casefold(),
        lambda item: item.captions["en"].casefold(),
        lambda item: TONES.sub("", item.text),
    ],
    ids=["emoji", "concept", "picture", "Chinese caption", "English caption", "skin-tone variant"],
)
def test_nothing_of_the_exam_is_on_the_training_side(sides, trait):
    training, exam = ({trait(item) for item in side} for side in sides)
    assert training
    assert exam
    assert not training & exam


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_classes_of_the_exam_are_told_apart(sides, lang):
    _, exam = sides
    assert len({item.captions[lang] for item in exam}) == len({item.concept for item in exam}) == len(exam)
    assert not any(item.has_skin_tone for item in exam)


def test_a_split_is_as_large_as_asked_and_repeatable(emoji):
    training, exam = split_concepts(emoji, TINY)
    assert len(exam) == 5
    assert len({item.concept for item in training}) == 8
    assert (training, exam) == split_concepts(emoji, TINY)
    assert split_concepts(emoji, replace(TINY, seed=1)) != (training, exam)


@pytest.mark.parametrize("lang, banned", [("zh", "我们"), ("en", "people")])
def test_texts_hold_no_banned_caption(lang, banned):
    assert banned in load_texts(lang, TINY, CAPTIONS[lang], set())
    texts = load_texts(lang, TINY, CAPTIONS[lang], {banned})
    assert banned not in texts
    assert len(texts) > 100


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_texts_are_distinct_and_repeatable(lang):
    texts = load_texts(lang, TINY, CAPTIONS[lang], set())
    assert len(set(texts)) == len(texts)
    assert texts == load_texts(lang, TINY, CAPTIONS[lang], set())


def test_a_deck_deals_all_words_equally_often():
    words = list("abcdefg")
    dealt = list(islice(endless_deck(words, random.Random(0)), 21))
    assert Counter(dealt) == dict.fromkeys(words, 3)
    assert dealt[:7] != words


@pytest.mark.parametrize(
    "lang, caption, word, variants",
    [
        ("en", "red apple", "sky", {"sky apple", "red sky"}),
        ("en", "apple", "sky", {"sky apple", "apple sky"}),
        ("zh", "红苹果", "天空", {"天空苹果", "红天空"}),
        ("zh", "苹果", "天空", {"天空苹果", "苹果天空"}),
        ("zh", "马", "天空", {"天空马", "马天空"}),
    ],
)
def test_a_variant_has_one_word_exchanged_or_added(lang, caption, word, variants):
    assert {vary(lang, caption, word, random.Random(seed)) for seed in range(20)} == variants


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A tiny corpus on disk."""
    place = tmp_path_factory.mktemp("corpus")
    build_corpus(TINY, place)
    return place


def test_lists_name_pictures_that_are_there(corpus, emoji):
    training, _ = split_concepts(emoji, TINY)
    for lang in ("zh", "en"):
        rows = pd.read_csv(corpus / f"pairs.{lang}.csv")[: len(training)]
        assert rows["caption"].tolist() == [item.captions[lang] for item in training]
        assert all((corpus / url.removeprefix("http://127.0.0.1:8765/")).is_file() for url in rows["url"])


def test_lists_hold_what_a_crawl_of_the_web_would(corpus):
    urls = pd.concat(pd.read_csv(corpus / f"pairs.{lang}.csv") for lang in ("zh", "en"))["url"]
    planted = urls[urls.str.contains("/[a-z]+-[0-9].png$")].str.extract("/([a-z]+)-")[0]
    assert planted.value_counts().to_dict() == dict.fromkeys(("gone", "page", "tiny", "lost", "copy"), 6)
    assert not list((corpus / "images").glob("gone-*"))
    assert (corpus / "images" / "page-0.png").read_text().startswith("<html>")
    assert Image.open(corpus / "images" / "tiny-0.png").size == (4, 4)


def test_texts_on_disk_hold_no_caption_of_the_exam(corpus):
    for lang, suffix in (("zh", "_zh"), ("en", "")):
        texts = (corpus / f"texts.{lang}.txt").read_text().casefold().splitlines()
        classes = (corpus / EXAM / f"classnames{suffix}.txt").read_text().casefold().splitlines()
        assert texts
        assert not set(texts) & set(classes)


def test_the_exam_has_the_layout_of_clip_benchmark(corpus, emoji):
    _, exam = split_concepts(emoji, TINY)
    folder = corpus / EXAM
    for suffix, lang in (("", "en"), ("_zh", "zh")):
        classes = (folder / f"classnames{suffix}.txt").read_text().splitlines()
        assert classes == [item.captions[lang] for item in exam]
        assert (folder / f"zeroshot_classification_templates{suffix}.txt").read_text() == "{c}"
    assert (folder / "test" / "nshards.txt").read_text() == "1"
    with tarfile.open(folder / "test" / "0.tar") as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}
    names = [f"s{number:07d}" for number in range(5)]
    assert [members[f"{name}.cls"] for name in names] == [b"0", b"1", b"2", b"3", b"4"]
    pictures = [Image.open(io.BytesIO(members[f"{name}.png"])) for name in names]
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (72, 72))}


def test_a_corpus_is_built_once_for_its_values(tmp_path):
    place = tmp_path / "corpus"
    build_corpus(TINY, place)
    (place / "mark").touch()
    build_corpus(TINY, place)
    assert (place / "mark").exists()
    build_corpus(replace(TINY, max_concepts=4), place)
    assert not (place / "mark").exists()
    assert len(list((place / "images").iterdir())) < 100


def test_a_half_built_corpus_is_built_anew(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "left.png").touch()
    build_corpus(TINY, tmp_path)
    assert not (tmp_path / "images" / "left.png").exists()
    assert (tmp_path / "texts.en.txt").exists()
