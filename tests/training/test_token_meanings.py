"""What tokens mean: their own text's vector, else the mean of the texts around them."""

import numpy as np
import pytest

from training.token_meanings import TokenMeanings, tokens_by_text
from training.tokenizer import train_tokenizer

WORDS = ["red", "green", "blue", "红", "绿"]
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(WORDS * 3, 500, 16)


def meanings_of(tokenizer, *parts: tuple[list[str], list[np.ndarray]], num_sampled: int = 10) -> dict:
    """By token, its vector as a list."""
    meanings = TokenMeanings(tokenizer, 3, num_sampled)
    for texts, vectors in parts:
        meanings.add(texts, np.stack(vectors))
    rows, vectors = meanings.vectors()
    return dict(zip(tokenizer.convert_ids_to_tokens(rows), vectors.tolist(), strict=True))


def test_a_token_that_is_a_text_has_its_vector_whatever_else_it_stands_in(tokenizer):
    found = meanings_of(tokenizer, (["red", "red blue"], [RED, GREEN]))
    assert found["red"] == RED.tolist()


def test_case_makes_no_difference(tokenizer):
    assert meanings_of(tokenizer, (["RED"], [RED]))["red"] == RED.tolist()


def test_another_has_the_mean_of_its_texts_and_a_short_one_counts_more(tokenizer):
    found = meanings_of(tokenizer, (["red blue"], [RED]), (["red green green blue"], [GREEN]))
    assert found["blue"] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-6)
    # Twice in a text is two occurrences.
    assert found["green"] == pytest.approx([0, 1, 0], abs=1e-6)


def test_a_token_of_no_text_means_nothing(tokenizer):
    found = meanings_of(tokenizer, (["red"], [RED]))
    assert "green" not in found
    assert not {"[CLS]", "[SEP]", "[PAD]"} & set(found)


def test_both_forms_of_a_word_stand_for_it(tokenizer):
    vocabulary = tokenizer.get_vocab()
    assert set(tokens_by_text(tokenizer)["红"]) == {vocabulary["红"], vocabulary["##红"]}


def test_only_the_first_texts_are_kept_as_a_sample(tokenizer):
    meanings = TokenMeanings(tokenizer, 3, num_sampled=3)
    for _ in range(3):
        meanings.add(["red", "blue"], np.stack([RED, BLUE]))
    assert meanings.sampled.tolist() == [RED.tolist(), BLUE.tolist(), RED.tolist()]


def test_texts_of_no_token_are_passed_over(tokenizer):
    assert meanings_of(tokenizer, (["", "red"], [GREEN, RED]))["red"] == RED.tolist()
