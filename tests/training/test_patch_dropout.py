"""Patch dropout: the class token stays, the others are a random subset, and only while training."""

import pytest
import torch
from toy_training import tiny_student
from transformers import CLIPVisionConfig, CLIPVisionModel

from training.patch_dropout import add_patch_dropout, kept_patches


def test_kept_patches_are_a_subset_without_repeats():
    tokens = torch.arange(2 * 10 * 1.0).view(2, 10, 1)
    kept = kept_patches(tokens, 0.5, num_special=1)
    assert kept.shape == (2, 1 + round(9 * 0.5), 1)
    for row, before in zip(kept, tokens, strict=True):
        assert row[0].equal(before[0])
        rest = row[1:, 0].tolist()
        assert set(rest) < set(before[1:, 0].tolist())
        assert len(set(rest)) == len(rest)


def test_at_least_one_patch_is_kept():
    assert kept_patches(torch.zeros(1, 5, 2), 0.99, num_special=1).shape == (1, 2, 2)


@pytest.fixture
def tower():
    config = CLIPVisionConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
    )
    return torch.nn.ModuleDict({"vision_model": CLIPVisionModel(config)})


def test_a_vit_sees_fewer_patches_only_while_it_trains(tower):
    vision = tower["vision_model"]
    (hook,) = add_patch_dropout(tower, 0.75)
    pixels = torch.zeros(2, 3, 32, 32)
    lengths = {}
    for training in (True, False):
        lengths[training] = vision.train(training)(pixels).last_hidden_state.shape[1]
    assert lengths == {True: 1 + 4, False: 1 + 16}
    hook.remove()
    assert vision.train()(pixels).last_hidden_state.shape[1] == 1 + 16


def test_a_convolutional_tower_has_no_patches():
    assert add_patch_dropout(tiny_student().model, 0.0) == []
    with pytest.raises(ValueError, match="needs an image tower of patches"):
        add_patch_dropout(tiny_student().model, 0.5)
