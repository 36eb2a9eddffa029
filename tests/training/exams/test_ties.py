"""Ties: the argmax of the published evaluations, and the stricter figure beside it."""

import numpy as np
import pytest
import torch

from training.exams import metrics
from training.exams.classify import MARKS, scores_of
from training.exams.duplicates import describe, distinct, duplicate_names

NAN = float("nan")


@pytest.mark.parametrize("seed", range(20))
def test_the_best_of_equal_scores_is_the_first_as_in_an_argmax(seed):
    chance = np.random.default_rng(seed)
    scores, labels = chance.integers(0, 3, (50, 6)).astype(np.float32), chance.integers(0, 6, 50)
    assert (
        metrics.argmax_hits(scores, labels) == (torch.from_numpy(scores).argmax(1).numpy() == labels)
    ).all()
    five = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    assert (metrics.argmax_hits(scores, labels, 5) == (five == labels[:, None]).any(axis=1)).all()


def test_nan_is_no_hit():
    assert not metrics.argmax_hits(np.full((2, 3), NAN), np.array([0, 1])).any()
    assert metrics.argmax_hits(np.array([[NAN, 1.0]]), np.array([1])).tolist() == [False]
    assert metrics.argmax_hits(np.array([[NAN, 1.0]]), np.array([0]), 5).tolist() == [False]


@pytest.mark.parametrize("metric", ["accuracy", "mean-per-class"])
def test_a_model_that_gives_everything_one_vector_is_seen_through(metric):
    found = MARKS[metric](np.ones((6, 3)), np.array([0, 0, 1, 1, 2, 2]))
    assert (found["figure"], found["ties_wrong"]) == (pytest.approx(1 / 3), 0.0)
    assert "ties_wrong" not in MARKS[metric](np.eye(3), np.arange(3))


def test_equal_columns_have_equal_scores_whatever_the_matrix_is_cut_into():
    chance = np.random.default_rng(0)
    columns = chance.normal(size=(1_003, 64)).astype(np.float32)
    columns[1_002] = columns[3]
    scores = scores_of(chance.normal(size=(65, 64)).astype(np.float32), columns)
    assert (scores[:, 3] == scores[:, 1_002]).all()


def test_duplicates_are_found_whatever_case_and_width_they_are_written_in():
    names = ["crane", "lemon", "Ｃｒａｎｅ", "red  wine", "Red wine"]
    assert duplicate_names(names) == {"crane": [0, 2], "red  wine": [3, 4]}
    assert duplicate_names(["a", "b"]) == {}
    assert distinct(["a", "b", "a"])[1].tolist() == [0, 1, 0]
    assert describe({"en": {"crane": [134, 517]}}) == "en: 'crane' is classes 134 and 517"
