"""Losses against plain numpy in float64, and what rows that do not count must not do."""

import math

import numpy as np
import pytest
import torch

from training import losses

SCALE, SOFTNESS, TEMPERATURE = 7.0, 0.4, 0.05
WEIGHT = np.array([1.0, 0, 1, 1, 0, 1])


def vectors(seed: int, rows: int = len(WEIGHT)) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, 5))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


ANCHORS = vectors(9, 4)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def plain_cosine(student, teacher):
    return np.mean([1 - one @ other for one, other in zip(student, teacher, strict=True)])


def plain_smooth_l1(student, teacher):
    gap = np.abs(student - teacher)
    return np.where(gap < 0.1, gap**2 / 0.2, gap - 0.05).sum(axis=1).mean()


def plain_affinity(student, teacher):
    wanted, given = (log_softmax(rows @ ANCHORS.T / TEMPERATURE) for rows in (teacher, student))
    return (np.exp(wanted) * (wanted - given)).sum(axis=1).mean()


def plain_soft_info_nce(queries, keys, softness=SOFTNESS):
    logits = SCALE * queries @ keys.T
    target = softness * np.exp(log_softmax(keys @ keys.T / 0.07)) + (1 - softness) * np.eye(len(keys))
    return -np.mean([(target * log_softmax(each)).sum(axis=1).mean() for each in (logits, logits.T)])


def affinity(student, teacher, weight=None):
    return losses.affinity(student, teacher, torch.from_numpy(ANCHORS), TEMPERATURE, weight)


def info_nce(queries, keys, weight=None):
    return losses.info_nce(queries, keys, SCALE, weight)


def soft_info_nce(queries, keys, weight=None):
    return losses.soft_info_nce(queries, keys, SCALE, SOFTNESS, weight)


PLAIN = {
    losses.cosine_distance: plain_cosine,
    losses.smooth_l1: plain_smooth_l1,
    affinity: plain_affinity,
    info_nce: lambda queries, keys: plain_soft_info_nce(queries, keys, 0.0),
    soft_info_nce: plain_soft_info_nce,
}
each_loss = pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.__name__)


@each_loss
def test_agrees_with_plain_numpy(loss):
    student, teacher = vectors(0), vectors(1)
    found = loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert float(found) == pytest.approx(PLAIN[loss](student, teacher), abs=1e-6)


@each_loss
def test_only_rows_of_weight_one_count(loss):
    student, teacher, counts = vectors(0), vectors(1), WEIGHT > 0
    found = loss(*(torch.from_numpy(item) for item in (student, teacher, WEIGHT)))
    assert float(found) == pytest.approx(PLAIN[loss](student[counts], teacher[counts]), abs=1e-6)


@each_loss
def test_rows_that_do_not_count_get_no_gradient(loss):
    student = torch.from_numpy(vectors(0)).requires_grad_()
    loss(student, torch.from_numpy(vectors(1)), torch.from_numpy(WEIGHT)).backward()
    moved = student.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == (WEIGHT > 0).tolist()


@each_loss
def test_nothing_that_counts_gives_zero_and_zero_gradients(loss):
    student, teacher = (torch.from_numpy(vectors(seed)).requires_grad_() for seed in (0, 1))
    found = loss(student, teacher, torch.zeros(len(WEIGHT)))
    found.backward()
    assert found.detach() == 0
    assert student.grad.eq(0).all()
    assert teacher.grad.eq(0).all()


def test_equal_vectors_are_no_distance_apart():
    same = torch.from_numpy(vectors(0))
    for loss in (losses.cosine_distance, losses.smooth_l1, affinity):
        assert float(loss(same, same)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_affinity_is_never_negative(seed):
    student, teacher = torch.from_numpy(vectors(seed)), torch.from_numpy(vectors(seed + 50))
    assert float(affinity(student, teacher)) > 0


def test_info_nce_is_symmetric():
    queries, keys = torch.from_numpy(vectors(0)), torch.from_numpy(vectors(1))
    assert float(info_nce(queries, keys)) == pytest.approx(float(info_nce(keys, queries)), abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_scale_sharpens_info_nce(scale):
    apart = torch.eye(4)
    expected = math.log(1 + 3 * math.exp(-scale))
    assert float(losses.info_nce(apart, apart, scale)) == pytest.approx(expected, abs=1e-6)


def test_scale_learns_from_info_nce():
    scale = torch.tensor(5.0, requires_grad=True)
    losses.info_nce(torch.eye(4), torch.eye(4), scale).backward()
    assert scale.grad < 0


def test_a_single_pair_has_nothing_to_contrast():
    assert float(losses.info_nce(torch.eye(1), torch.eye(1), 10.0)) == 0


def test_softness_forgives_a_twin():
    twins = torch.eye(3)[[0, 0, 1]]
    hard, soft = (losses.soft_info_nce(twins, twins, 30.0, softness) for softness in (0.0, 1.0))
    assert float(hard) > 0.4
    queries = twins.clone().requires_grad_()
    losses.soft_info_nce(queries, twins, 30.0, 1.0).backward()
    assert float(soft) == pytest.approx(2 / 3 * math.log(2), abs=1e-3)
    assert queries.grad.abs().max() < 1e-4
