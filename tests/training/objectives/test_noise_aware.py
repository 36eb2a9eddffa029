"""Noise: pairs of low score are taken for noise, and their targets are soft."""

import pytest
import torch

from training.objectives.noise_aware import Noise, noise_aware_info_nce


def test_the_lower_of_two_groups_of_scores_is_noise():
    scores = torch.cat([torch.linspace(0.1, 0.14, 20), torch.linspace(0.3, 0.4, 60)])
    noise = Noise(scores)(scores)
    assert noise.dtype == scores.dtype
    assert noise[:20].min() > 0.9
    assert noise[20:].max() < 0.1


@pytest.mark.parametrize("num", [0, 1, 10])
def test_scores_that_do_not_differ_are_no_noise(num):
    scores = torch.full((num,), 0.3)
    assert Noise(scores)(scores).tolist() == [0.0] * num


def test_a_noisy_pair_pulls_less():
    image = torch.eye(4).requires_grad_()
    text = torch.eye(4).roll(1, dims=0)
    pulls = []
    for noise in (0.0, 1.0):
        (gradient,) = torch.autograd.grad(
            noise_aware_info_nce(image, text, torch.tensor([noise, 0, 0, 0]), torch.tensor(5.0)), image
        )
        pulls.append(-(gradient[0] @ text[0]).item())
    assert 0 < pulls[1] < pulls[0]
