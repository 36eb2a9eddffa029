"""What tokens mean: the vectors whose sums explain all texts best."""

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse

from training import token_meanings
from training.token_meanings import RIDGE, TokenMeanings, solve_ridge
from training.tokenizer import train_tokenizer

WORDS = ["red", "green", "blue", "红", "绿"]
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)
CENTER, ALL = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(WORDS * 3, 500, 16)


def meanings_of(tokenizer, *parts: tuple[list[str], list[np.ndarray]]) -> dict[str, np.ndarray]:
    """By token, its vector at length 1."""
    meanings = TokenMeanings(tokenizer, 3)
    for texts, vectors in parts:
        meanings.add(texts, np.stack(vectors))
    rows, vectors = meanings.vectors(CENTER, ALL)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return dict(zip(tokenizer.convert_ids_to_tokens(rows), vectors / lengths, strict=True))


def halfway(*vectors: np.ndarray) -> np.ndarray:
    return sum(vectors) / np.linalg.norm(sum(vectors))


def test_a_token_that_is_a_text_has_its_vector(tokenizer):
    found = meanings_of(tokenizer, (["red", "绿"], [RED, GREEN]))
    assert found["red"] == pytest.approx(RED)
    assert found["绿"] == pytest.approx(GREEN)


def test_case_makes_no_difference(tokenizer):
    assert meanings_of(tokenizer, (["RED"], [RED]))["red"] == pytest.approx(RED)


def test_a_word_of_phrases_alone_is_what_the_known_words_leave(tokenizer):
    texts = ["red", "green", "red blue", "green blue"]
    found = meanings_of(
        tokenizer, (texts[:2], [RED, GREEN]), (texts[2:], [halfway(RED, BLUE), halfway(GREEN, BLUE)])
    )
    assert found["blue"] @ BLUE > 0.98
    assert found["red"] @ RED > 0.98


def test_what_all_texts_share_is_no_tokens_meaning(tokenizer):
    meanings = TokenMeanings(tokenizer, 3)
    meanings.add(
        ["red", "green", "red green"], np.stack([RED + BLUE, GREEN + BLUE, halfway(RED, GREEN) + BLUE])
    )
    rows, vectors = meanings.vectors(BLUE, ALL[:, :2])
    assert vectors.shape == (2, 2)
    assert [row.argmax() for row in vectors] == [
        0 if token == "red" else 1 for token in tokenizer.convert_ids_to_tokens(rows)
    ]


def test_a_token_of_no_text_means_nothing(tokenizer):
    found = meanings_of(tokenizer, (["red"], [RED]))
    assert set(found) == {"red"}


def test_only_the_first_texts_are_kept_as_a_sample(tokenizer):
    meanings = TokenMeanings(tokenizer, 3, num_sampled=3)
    for _ in range(3):
        meanings.add(["red", "blue"], np.stack([RED, BLUE]))
    assert meanings.sampled.tolist() == [RED.tolist(), BLUE.tolist(), RED.tolist()]


def test_texts_beyond_the_limit_say_nothing(tokenizer, monkeypatch):
    monkeypatch.setattr(token_meanings, "MAX_TEXTS", 3)
    texts = ["red", "green"]
    found = meanings_of(tokenizer, (texts, [RED, GREEN]), (texts, [RED, BLUE]), (["blue"], [BLUE]))
    assert set(found) == {"red", "green"}
    assert found["green"] == pytest.approx(GREEN)


def test_texts_of_no_token_are_passed_over(tokenizer):
    assert meanings_of(tokenizer, (["", "red"], [GREEN, RED]))["red"] == pytest.approx(RED)


def test_the_ridge_regression_is_that_of_a_direct_solver():
    chance = np.random.default_rng(0)
    pairs = list(combinations(range(12), 2))
    texts = np.zeros((len(pairs), 12), np.float32)
    for row, pair in enumerate(pairs):
        texts[row, list(pair)] = 0.5**0.5
    products, right = texts.T @ texts, texts.T @ chance.normal(size=(len(pairs), 5)).astype(np.float32)
    expected = np.linalg.solve(products + RIDGE * np.eye(12), right)
    assert solve_ridge(sparse.csr_matrix(products), right) == pytest.approx(expected, abs=1e-4)
