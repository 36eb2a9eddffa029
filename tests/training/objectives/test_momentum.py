"""The momentum student: it follows slowly, and learns by no gradient."""

import pytest
import torch
from toy_training import tiny_student

from training.objectives.momentum import MOMENTUM, MomentumStudent
from training.towers import Towers


@pytest.fixture
def towers() -> Towers:
    return Towers(tiny_student().model.train())


def test_it_follows_by_the_momentum(towers):
    slow = MomentumStudent(towers)
    before = [parameter.clone() for parameter in slow.towers.parameters()]
    with torch.no_grad():
        for parameter in towers.parameters():
            parameter.add_(1.0)
    slow.follow(towers)
    for old, new in zip(before, slow.towers.parameters(), strict=True):
        assert torch.allclose(new, old + (1 - MOMENTUM), atol=1e-6)


def test_its_targets_are_vectors_without_gradient(towers):
    slow = MomentumStudent(towers)
    tokens = {"input_ids": torch.tensor([[2, 9, 3], [2, 8, 3]]), "attention_mask": torch.ones(2, 3)}
    batch = {"pixels": torch.rand(2, 3, 32, 32), "zh_tokens": tokens, "en_tokens": tokens}
    targets = slow.targets(batch)
    assert set(targets) == {"momentum_image", "momentum_zh", "momentum_en"}
    assert not any(rows.requires_grad for rows in targets.values())
    assert torch.allclose(targets["momentum_image"].norm(dim=1), torch.ones(2), atol=1e-5)
    assert not any(parameter.requires_grad for parameter in slow.towers.parameters())
    assert all(parameter.requires_grad for parameter in towers.parameters())
