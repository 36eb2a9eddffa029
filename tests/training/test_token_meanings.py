"""What tokens mean: the vectors whose sums explain all texts best."""

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse

from training.token_meanings import RIDGE, TokenMeanings, solve_ridge
from training.tokenizer import train_tokenizer

WORDS = ["red", "green", "blue", "红", "绿"]
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(WORDS * 3, 500, 16)


def meanings_of(tokenizer, *parts: tuple[list[str], list[np.ndarray]]) -> dict[str, np.ndarray]:
    """By token, its vector at length 1, with what all texts share."""
    meanings = TokenMeanings(tokenizer, 3)
    for texts, vectors in parts:
        meanings.add(texts, np.stack(vectors))
    rows, vectors = meanings.vectors(np.eye(3, dtype=np.float32))
    vectors = vectors + meanings.center
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return dict(zip(tokenizer.convert_ids_to_tokens(rows), vectors / lengths, strict=True))


def halfway(*vectors: np.ndarray) -> np.ndarray:
    return sum(vectors) / np.linalg.norm(sum(vectors))


def test_a_token_that_is_a_text_has_its_vector(tokenizer):
    found = meanings_of(tokenizer, (["red", "绿"], [RED, GREEN]))
    assert found["red"] @ RED > 0.99
    assert found["绿"] @ GREEN > 0.99


def test_case_makes_no_difference(tokenizer):
    assert meanings_of(tokenizer, (["RED"], [RED]))["red"] == pytest.approx(RED)


def test_a_word_of_phrases_alone_is_what_the_known_words_leave(tokenizer):
    texts = ["red", "green", "red blue", "green blue"]
    found = meanings_of(
        tokenizer, (texts[:2], [RED, GREEN]), (texts[2:], [halfway(RED, BLUE), halfway(GREEN, BLUE)])
    )
    # The mean of its texts would have 0.82.
    assert found["blue"] @ BLUE > 0.9
    assert found["red"] @ RED > 0.95


def test_center_and_covariance_are_those_of_all_texts(tokenizer):
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    meanings = TokenMeanings(tokenizer, 3)
    for part in (vectors[:7], vectors[7:]):
        meanings.add(["red"] * len(part), part)
    assert meanings.center == pytest.approx(vectors.mean(axis=0), abs=1e-6)
    assert meanings.covariance == pytest.approx(np.cov(vectors.T, ddof=0), abs=1e-5)


def test_vectors_lie_along_the_directions_asked_for(tokenizer):
    meanings = TokenMeanings(tokenizer, 3)
    meanings.add(["red", "green", "blue"], np.stack([RED, GREEN, BLUE]))
    rows, vectors = meanings.vectors(np.stack([RED, BLUE], axis=1))
    found = dict(zip(tokenizer.convert_ids_to_tokens(rows), vectors, strict=True))
    assert vectors.shape == (3, 2)
    assert found["red"][0] > 0 > found["red"][1]
    assert found["green"][0] == pytest.approx(found["green"][1])


def test_a_token_of_no_text_means_nothing(tokenizer):
    found = meanings_of(tokenizer, (["red"], [RED]))
    assert set(found) == {"red"}


def test_texts_of_no_token_are_passed_over(tokenizer):
    assert set(meanings_of(tokenizer, (["", "red"], [GREEN, RED]))) == {"red"}


def test_the_ridge_regression_is_that_of_a_direct_solver():
    chance = np.random.default_rng(0)
    pairs = list(combinations(range(12), 2))
    texts = np.zeros((len(pairs), 12), np.float32)
    for row, pair in enumerate(pairs):
        texts[row, list(pair)] = 0.5**0.5
    products, right = texts.T @ texts, texts.T @ chance.normal(size=(len(pairs), 5)).astype(np.float32)
    expected = np.linalg.solve(products + RIDGE * np.eye(12), right)
    assert solve_ridge(sparse.csr_matrix(products), right) == pytest.approx(expected, abs=1e-4)
