"""Losses: pure functions from tensors to a scalar tensor.

Vectors are rows of unit length, shape (batch, width). `weight` is a (batch,) tensor of zeros and ones that
says which rows count; a batch with none gives zero, with gradients that are zero too.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of (batch,) values over the rows that count."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp(min=1)


def cosine_distance(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of 1 - cos between paired rows (feature distillation; CLIP-KD, arXiv 2307.12732)."""
    return weighted_mean(1 - (student * teacher).sum(dim=1), weight)


def smooth_l1(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """SmoothL1 between paired rows, summed over the width (feature distillation; DC-CLIP, 2404.11249)."""
    distance = F.smooth_l1_loss(student, teacher, beta=0.1, reduction="none").sum(dim=1)
    return weighted_mean(distance, weight)


def affinity(student: Tensor, teacher: Tensor, anchors: Tensor, temperature: float, weight=None) -> Tensor:
    """KL divergence from the teacher's to the student's distribution over the anchors.

    Both are softmax(vectors @ anchors.T / temperature) (affinity mimicking; TinyCLIP, arXiv 2309.12314).
    `anchors` has shape (num_anchors, width).
    """
    wanted = (teacher @ anchors.T / temperature).log_softmax(dim=1)
    given = (student @ anchors.T / temperature).log_softmax(dim=1)
    return weighted_mean((wanted.exp() * (wanted - given)).sum(dim=1), weight)


def info_nce(queries: Tensor, keys: Tensor, scale: Tensor | float, weight: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between paired rows; rows of weight 0 are neither positives nor negatives.

    `scale` is one over the temperature (CLIP, arXiv 2103.00020). Fewer than two rows teach nothing: zero.
    """
    return soft_info_nce(queries, keys, scale, 0.0, weight)


def soft_info_nce(
    queries: Tensor, keys: Tensor, scale: Tensor | float, softness: float, weight: Tensor | None = None
) -> Tensor:
    """InfoNCE whose target is partly the similarity among the keys, so that a near twin is no enemy.

    `softness` 0 is `info_nce`; else that share of the target is softmax(keys @ keys.T / 0.07), without
    gradient.
    """
    if weight is not None:
        queries, keys = queries[weight > 0], keys[weight > 0]
    if len(queries) < 2:
        return (queries.sum() + keys.sum()) * 0.0
    logits = scale * queries @ keys.T
    target = torch.eye(len(logits), device=logits.device)
    if softness:
        likeness = (keys.detach() @ keys.detach().T / 0.07).softmax(dim=1)
        target = softness * likeness + (1 - softness) * target
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
