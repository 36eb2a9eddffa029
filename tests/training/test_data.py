"""What a step is made of: stored rows as tensors, views, augmentation, tokens, anchors."""

import numpy as np
import pytest
import torch
from toy_training import (
    LANGUAGES,
    SIDE,
    WIDTH,
    ToyTeacher,
    all_pairs,
    picture,
    shown,
    sources_of,
    tiny_student,
)

from training import data, shards
from training.embedded import Pair, Text


@pytest.fixture(scope="module")
def sources(corpus):
    return sources_of(corpus)


@pytest.fixture(scope="module")
def rows(sources) -> list[Pair]:
    return all_pairs(sources)


@pytest.fixture(scope="module")
def pairs(sources, rows) -> data.Pairs:
    return shown(sources, rows)


def selected_rows(corpus) -> list[dict]:
    return [row for row in corpus.rows if row["key"] != corpus.unselected]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pairs_have_their_pictures_captions_and_vectors(corpus, pairs):
    rows = selected_rows(corpus)
    colours = [shards.Image.new("RGB", (1, 1), row["colour"]).getpixel((0, 0)) for row in rows]
    images = ToyTeacher().embed_images([picture(row["colour"]) for row in rows])
    assert len(pairs) == len(rows)
    assert [tuple(image[:, 0, 0].tolist()) for image in pairs.images] == colours
    assert pairs.images.dtype == torch.uint8
    assert np.allclose(pairs.image_vectors, images, atol=2**-8)
    assert (pairs.text_vectors["zh"].sum(dim=1) == pairs.has["zh"]).all()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_captions_that_are_not_there_are_empty_with_a_zero_vector(corpus, pairs, lang):
    wanted = [row[lang] or "" for row in selected_rows(corpus)]
    if lang == "en":
        wanted[wanted.index("a blue picture 8")] = ""
    there = [bool(text) for text in wanted]
    assert pairs.captions[lang] == wanted
    assert pairs.has[lang].bool().tolist() == there
    assert pairs.text_vectors[lang].any(dim=1).tolist() == there


def test_views_of_a_step_depend_on_seed_and_step_alone_and_all_come():
    drawn = data.views_of_step(4, 1_000, 7, seed=1)
    assert drawn.equal(data.views_of_step(4, 1_000, 7, seed=1))
    assert not drawn.equal(data.views_of_step(4, 1_000, 8, seed=1))
    assert torch.bincount(drawn, minlength=4).min() > 200
    assert data.views_of_step(1, 5, 7, seed=1).tolist() == [0] * 5


def test_no_augmentation_is_the_identity():
    images = torch.rand(3, 3, 8, 8)
    assert data.augment(images, 0.0, chance()).equal(images)


def test_white_stays_white():
    white = torch.ones(4, 3, 8, 8)
    assert torch.allclose(data.augment(white, 0.5, chance()), white, atol=1e-6)


def test_augmentation_moves_each_picture_its_own_way_onto_white():
    black = -torch.ones(16, 3, 12, 12)
    moved = data.augment(black, 0.3, chance())
    assert moved.shape == black.shape
    assert (moved.min(), moved.max()) == (-1, 1)
    assert len({float(image.sum()) for image in moved}) == len(black)
    assert moved.equal(data.augment(black, 0.3, chance()))
    assert not moved.equal(data.augment(black, 0.3, chance(1)))


def test_augmentation_shifts_by_at_most_its_share_of_the_side():
    dot = torch.ones(64, 1, 41, 41)
    dot[:, :, 20, 20] = -1
    moved = data.augment(dot, 0.1, chance())
    rows = moved[:, 0].amin(dim=2).argmin(dim=1)
    assert (rows - 20).abs().max() <= 5
    assert (rows - 20).abs().max() >= 3


@pytest.mark.parametrize(
    ("towers", "inputs"),
    [
        (("image",), {"pixels"}),
        (("text",), {"zh_tokens", "en_tokens"}),
        (("image", "text"), {"pixels", "zh_tokens", "en_tokens"}),
    ],
)
def test_a_pair_batch_has_input_for_the_towers_that_learn(sources, rows, towers, inputs):
    batch = data.pair_batch(shown(sources, [rows[0], rows[5], rows[7]]), tiny_student().tokenizer, towers)
    stored = {"image_vector", "zh_vector", "en_vector", "has_zh", "has_en"}
    assert set(batch) == stored | inputs
    assert batch["has_en"].tolist() == [1, 0, 0]


def test_pixels_of_a_batch_are_from_minus_one_to_one(pairs):
    batch = data.pair_batch(pairs, tiny_student().tokenizer, ("image",))
    assert (batch["pixels"].min(), batch["pixels"].max()) == (-1, 1)
    assert batch["pixels"].shape == (len(pairs), 3, SIDE, SIDE)


def test_a_text_batch_has_tokens_and_vectors():
    tokenizer, texts = tiny_student().tokenizer, ["red", "a blue picture 8"]
    vectors = ToyTeacher().embed_texts(texts)
    rows = [Text(text, shards.to_bf16(vector)) for text, vector in zip(texts, vectors, strict=True)]
    batch = data.text_batch(rows, tokenizer, WIDTH)
    assert np.array_equal(batch["text_vector"], vectors)
    first, last = batch["text_tokens"]["input_ids"]
    assert tokenizer.decode(first, skip_special_tokens=True) == "red"
    assert batch["text_tokens"]["attention_mask"].sum(dim=1).tolist() == [3, (last > 0).sum()]


@pytest.mark.parametrize("wanted", [7, 1_000])
def test_anchors_are_vectors_of_captions_that_are_there(rows, wanted):
    anchors = data.draw_anchors(rows, wanted, WIDTH, chance())
    num_captions = sum(len(row.captions) for row in rows)
    assert anchors.shape == (min(wanted, num_captions), WIDTH)
    assert anchors.norm(dim=1).eq(1).all()
    assert anchors.equal(data.draw_anchors(rows, wanted, WIDTH, chance()))
