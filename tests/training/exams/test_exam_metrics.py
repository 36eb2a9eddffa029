"""The exam's figures against scikit-learn, against counting by hand, and where they have no value."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from training.exams import metrics

NAN = float("nan")


def tied_scores(seed: int, rows: int, classes: int) -> np.ndarray:
    """Scores of few different values."""
    return np.random.default_rng(seed).integers(0, 6, (rows, classes)).astype(np.float32)


def reference_eleven_points(scores: np.ndarray, positives: np.ndarray) -> float:
    """By scikit-learn's curve, as the package vision-evaluation does."""
    precision, recall, _ = reference.precision_recall_curve(positives, scores)
    return np.mean([precision[recall >= point].max() for point in np.linspace(1, 0, 11)])


def devkit_eleven_points(scores: np.ndarray, positives: np.ndarray) -> float:
    """By the text of the VOC2007 paper; scores must differ."""
    truth = positives[np.argsort(-scores)].tolist()
    found = [sum(truth[: place + 1]) for place in range(len(truth))]
    points = []
    for tenth in range(11):
        enough = [place for place, hits in enumerate(found) if 10 * hits >= tenth * sum(truth)]
        points.append(max(found[place] / (place + 1) for place in enough))
    return sum(points) / 11


def test_a_hit_is_a_class_above_all_others_row_by_row():
    scores = np.array([[3, 1, 2], [3, 3, 2], [1, 2, 3], [NAN, 1, 2]])
    labels = np.array([0, 0, 1, 1])
    assert metrics.top_k_hits(scores, labels, 1).tolist() == [True, False, False, False]
    assert metrics.top_k_hits(scores, labels, 2).tolist() == [True, True, True, False]


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_scikit_learns_where_nothing_ties(seed, k):
    chance = np.random.default_rng(seed)
    scores, labels = chance.random((60, 8)), chance.integers(0, 8, 60)
    expected = reference.top_k_accuracy_score(labels, scores, k=min(k, 7), labels=range(8)) if k < 8 else 1.0
    assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_mean_per_class_is_scikit_learns(seed):
    chance = np.random.default_rng(seed)
    scores, labels = chance.random((50, 7)), chance.integers(0, chance.integers(1, 8), 50)
    expected = reference.recall_score(
        labels, scores.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.mean_per_class_accuracy(scores, labels) == pytest.approx(expected, abs=1e-15)


def test_mean_per_class_does_not_weigh_by_rows():
    scores = np.eye(2)[[0, 0, 0, 0]]
    assert metrics.mean_per_class_accuracy(scores, [0, 0, 0, 1]) == 0.5
    assert metrics.top_k_accuracy(scores, [0, 0, 0, 1], 1) == 0.75


def test_a_tie_is_no_right_answer_in_either_accuracy():
    scores = np.ones((4, 3))
    assert metrics.top_k_accuracy(scores, [0, 1, 2, 0], 1) == 0
    assert metrics.mean_per_class_accuracy(scores, [0, 1, 2, 0]) == 0


@pytest.mark.parametrize("seed", range(60))
def test_roc_auc_is_scikit_learns_with_many_ties(seed):
    chance = np.random.default_rng(seed)
    scores, positives = chance.integers(0, 4, 30).astype(float), chance.random(30) < 0.4
    expected = reference.roc_auc_score(positives, scores)
    assert metrics.roc_auc(scores, positives) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "positives", "area"),
    [([1, 2, 3, 4], [0, 0, 1, 1], 1.0), ([1, 1, 1], [0, 1, 1], 0.5), ([2, 1], [0, 1], 0.0)],
)
def test_roc_auc_by_hand(scores, positives, area):
    assert metrics.roc_auc(np.array(scores), np.array(positives)) == area


@pytest.mark.parametrize("seed", range(60))
def test_eleven_points_are_scikit_learns_with_many_ties(seed):
    chance = np.random.default_rng(seed)
    rows = int(chance.integers(1, 60))
    scores, positives = tied_scores(seed, rows, 1)[:, 0], chance.random(rows) < 0.5
    positives[0] = True
    expected = reference_eleven_points(scores, positives)
    assert metrics.eleven_point_precision(scores, positives) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_eleven_points_of_the_devkit(seed):
    chance = np.random.default_rng(seed)
    scores, positives = chance.random(40), chance.random(40) < 0.5
    found = metrics.eleven_point_precision(scores, positives, anchored=False)
    assert found == pytest.approx(devkit_eleven_points(scores, positives), abs=1e-12)
    assert found <= metrics.eleven_point_precision(scores, positives)


@pytest.mark.parametrize("num_positive", [10, 20, 30, 70])
def test_a_recall_that_is_a_tenth_is_reached(num_positive):
    """The first three tenths of the positives come first, then all negatives: 4 points of 1 and no more."""
    positives = np.array([True] * (num_positive * 3 // 10) + [False] * 50 + [True] * (num_positive * 7 // 10))
    found = metrics.eleven_point_precision(-np.arange(len(positives), dtype=float), positives)
    last = num_positive / (num_positive + 50)
    assert found == pytest.approx((4 + 7 * last) / 11, abs=1e-12)


def test_a_difficult_object_is_an_absent_one():
    scores = np.random.default_rng(0).random((20, 3))
    labels = np.random.default_rng(1).integers(-1, 2, (20, 3))
    expected = metrics.mean_eleven_point_precision(scores, np.maximum(labels, 0))
    assert metrics.mean_eleven_point_precision(scores, labels) == expected


def test_a_class_that_never_occurs_leaves_no_mean_precision():
    labels = np.array([[1, 0], [1, 0]])
    assert math.isnan(metrics.mean_eleven_point_precision(np.ones((2, 2)), labels))


@pytest.mark.parametrize(
    "figure",
    [
        lambda: metrics.top_k_accuracy(np.zeros((0, 3)), np.zeros(0), 1),
        lambda: metrics.mean_per_class_accuracy(np.zeros((0, 3)), np.zeros(0)),
        lambda: metrics.roc_auc(np.zeros(0), np.zeros(0)),
        lambda: metrics.roc_auc(np.arange(3.0), np.ones(3)),
        lambda: metrics.roc_auc(np.arange(3.0), np.zeros(3)),
        lambda: metrics.roc_auc(np.array([0.0, NAN]), np.array([0, 1])),
        lambda: metrics.eleven_point_precision(np.arange(3.0), np.zeros(3)),
        lambda: metrics.eleven_point_precision(np.zeros(0), np.zeros(0)),
        lambda: metrics.eleven_point_precision(np.array([NAN, 1.0]), np.array([0, 1])),
        lambda: metrics.mean_eleven_point_precision(np.zeros((0, 2)), np.zeros((0, 2))),
    ],
)
def test_what_has_no_value_is_nan_without_a_warning(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(figure())


def test_nan_scores_are_wrong_answers():
    assert metrics.top_k_accuracy(np.full((2, 3), NAN), [0, 1], 1) == 0
    assert metrics.mean_per_class_accuracy(np.full((2, 3), NAN), [0, 1]) == 0


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [[0, 1]], [0.5, 1.0]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError):
        metrics.top_k_accuracy(np.zeros((2, 3)), labels, 1)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="rows"):
        metrics.roc_auc(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="classes"):
        metrics.mean_eleven_point_precision(np.zeros((3, 2)), np.zeros((3, 1)))


def test_probabilities_are_the_softmax_of_a_hundred_cosines():
    cosines = np.random.default_rng(0).uniform(-1, 1, (5, 4))
    expected = torch.softmax(100 * torch.from_numpy(cosines), dim=1).numpy()
    assert metrics.probabilities(cosines) == pytest.approx(expected, abs=1e-12)
    assert metrics.probabilities(np.zeros((0, 4))).shape == (0, 4)


def test_tensors_are_as_good_as_arrays():
    scores, labels = torch.rand(9, 3), torch.tensor([0, 1, 2] * 3)
    assert metrics.top_k_accuracy(scores, labels, 1) == metrics.top_k_accuracy(
        scores.numpy(), labels.numpy(), 1
    )
    assert metrics.roc_auc(scores[:, 0], labels > 1) == metrics.roc_auc(
        scores[:, 0].numpy(), labels.numpy() > 1
    )
