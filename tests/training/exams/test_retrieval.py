"""Recalls against sorting everything, with ties, several partners, and any size of blocks."""

import numpy as np
import pytest
from toy_training import unit

from training.exams.retrieval import count_better, recalls


def brute_recall(scores: np.ndarray, own: list[set[int]], k: int) -> float:
    """By sorting; of equal scores the wrong one comes first."""
    hits = []
    for row, right in zip(scores.tolist(), own, strict=True):
        if right:
            order = sorted(range(len(row)), key=lambda at: (-row[at], at in right))
            hits.append(bool(set(order[:k]) & right))
    return sum(hits) / len(hits)


def brute_recalls(images: np.ndarray, texts: np.ndarray, pairs: np.ndarray) -> dict:
    scores = images @ texts.T
    texts_of = [{text for image, text in pairs.tolist() if image == at} for at in range(len(images))]
    images_of = [{image for image, text in pairs.tolist() if text == at} for at in range(len(texts))]
    found = {
        "image_to_text": {f"r{k}": brute_recall(scores, texts_of, k) for k in (1, 5, 10)},
        "text_to_image": {f"r{k}": brute_recall(scores.T, images_of, k) for k in (1, 5, 10)},
    }
    return {**found, "mean_recall": np.mean([value for part in found.values() for value in part.values()])}


def same(found: dict, expected: dict) -> bool:
    directions = ("image_to_text", "text_to_image")
    return all(found[name] == expected[name] for name in directions) and found[
        "mean_recall"
    ] == pytest.approx(expected["mean_recall"], abs=1e-12)


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
@pytest.mark.parametrize("seed", range(4))
def test_several_captions_an_image(seed, block):
    chance = np.random.default_rng(seed)
    images = unit(chance.normal(size=(30, 6)))
    pairs = np.array(
        [(number, at) for at, number in enumerate(np.repeat(np.arange(30), chance.integers(1, 6, 30)))]
    )
    texts = unit(images[pairs[:, 0]] + chance.normal(size=(len(pairs), 6)))
    assert same(recalls(images, texts, pairs, block=block), brute_recalls(images, texts, pairs))


@pytest.mark.parametrize("seed", range(12))
def test_ties_of_whole_numbers_and_pairs_anywhere(seed):
    """Products of small whole numbers are exact and tie all the time."""
    chance = np.random.default_rng(seed)
    images, texts = (chance.integers(-1, 2, (size, 3)).astype(np.float32) for size in (23, 31))
    pairs = np.unique(np.stack([chance.integers(0, 23, 40), chance.integers(0, 31, 40)], axis=1), axis=0)
    pairs = chance.permutation(pairs)
    assert same(recalls(images, texts, pairs, block=8), brute_recalls(images, texts, pairs))


def test_who_gives_everything_one_vector_finds_nothing():
    ones = np.ones((40, 4), np.float32) / 2
    found = recalls(ones, ones, np.stack([np.arange(40)] * 2, axis=1), block=16)
    assert found["mean_recall"] == 0


def test_who_knows_everything_finds_everything():
    basis = np.eye(12, dtype=np.float32)
    found = recalls(basis, basis[::-1], np.array([(at, 11 - at) for at in range(12)]))
    assert found["mean_recall"] == 1


def test_own_partners_do_not_stand_in_each_others_way():
    images = np.eye(2, dtype=np.float32)
    texts = unit(np.array([[1, 0.01 * at] for at in range(12)]))
    pairs = np.array([(0, at) for at in range(12)])
    assert recalls(images, texts, pairs)["text_to_image"]["r1"] == 1
    assert count_better(images, texts, pairs)[0][0] == 0


def test_what_has_no_partner_is_a_candidate_and_no_query():
    images, texts = np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[[1]]
    found = recalls(images, texts, np.array([(0, 0)]))
    assert found["image_to_text"]["r1"] == 1
    assert found["text_to_image"]["r1"] == 0
    assert found["text_to_image"]["r5"] == 1


def test_nan_is_found_by_nobody():
    images = np.full((3, 2), np.nan, np.float32)
    texts = np.ones((3, 2), np.float32)
    pairs = np.stack([np.arange(3)] * 2, axis=1)
    assert recalls(images, texts, pairs)["mean_recall"] == 0


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (np.zeros((0, 2), int), "at least one"),
        ([[0, 9]], "not there"),
        ([[-1, 0]], "not there"),
        ([0, 1], "rows"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(pairs, words):
    with pytest.raises(ValueError, match=words):
        recalls(np.ones((2, 2)), np.ones((2, 2)), np.array(pairs))
