"""Grouped hard negatives: chains of similar pairs, and batches of them."""

import torch
from torch.nn.functional import normalize

from training.objectives.hard_negatives import chain, group_rows


def around_centers(num_centers: int, per_center: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(images, texts) in tight clusters, in random order; row i is of cluster i // per_center."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.eye(num_centers, 16).repeat_interleave(per_center, dim=0)
    return tuple(
        normalize(centers + 0.05 * torch.randn(centers.shape, generator=generator), dim=1) for _ in range(2)
    )


def test_a_chain_alternates_between_texts_and_images():
    angles = torch.tensor([0.0, 40.0, 10.0, 80.0]).deg2rad()
    images = torch.stack([angles.cos(), angles.sin()], dim=1)
    texts = images[[3, 1, 2, 0]]
    # The first image is nearest to text 3; that pair's text points to 0 degrees, nearest to image 2.
    assert chain(images, texts, 0).tolist() == [0, 3, 2, 1]


def test_a_chain_holds_every_pair_once():
    images, texts = around_centers(4, 5)
    assert sorted(chain(images, texts, 7).tolist()) == list(range(20))


def test_batches_hold_similar_pairs():
    images, texts = around_centers(4, 8)
    batches = group_rows(images, texts, 8, torch.Generator().manual_seed(1))
    assert sorted(tuple(sorted(batch.tolist())) for batch in batches) == [
        tuple(range(first, first + 8)) for first in range(0, 32, 8)
    ]


def test_groups_are_a_function_of_the_chance():
    images, texts = around_centers(3, 6)
    first, same, other = (
        torch.cat(group_rows(images, texts, 6, torch.Generator().manual_seed(seed))) for seed in (0, 0, 5)
    )
    assert first.equal(same)
    assert not first.equal(other)
