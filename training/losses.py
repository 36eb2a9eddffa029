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
    """Mean of 1 - cos between paired rows: half the squared distance (CLIP-KD, arXiv 2307.12732)."""
    return weighted_mean(1 - (student * teacher).sum(dim=1), weight)


def smooth_l1(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """SmoothL1 between paired rows, summed over the width (feature distillation; DC-CLIP, 2404.11249)."""
    distance = F.smooth_l1_loss(student, teacher, beta=0.1, reduction="none").sum(dim=1)
    return weighted_mean(distance, weight)


def divergence(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """KL divergence from the softmax of the teacher's logits (batch, choices) to that of the student's."""
    wanted, given = teacher.log_softmax(dim=1), student.log_softmax(dim=1)
    return weighted_mean((wanted.exp() * (wanted - given)).sum(dim=1), weight)


def affinity(student: Tensor, teacher: Tensor, anchors: Tensor, temperature: float, weight=None) -> Tensor:
    """KL divergence from the teacher's to the student's distribution over the anchors.

    Both are softmax(vectors @ anchors.T / temperature): affinity mimicking (TinyCLIP, arXiv 2309.12314)
    with the teacher's vectors on the other side. `anchors` has shape (num_anchors, width).
    """
    return divergence(student @ anchors.T / temperature, teacher @ anchors.T / temperature, weight)


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
        return nothing(queries, keys)
    logits = scale * queries @ keys.T
    target = torch.eye(len(logits), device=logits.device)
    if softness:
        likeness = (keys.detach() @ keys.detach().T / 0.07).softmax(dim=1)
        target = softness * likeness + (1 - softness) * target
    return symmetric_cross_entropy(logits, logits.T, target, target)


def symmetric_cross_entropy(rows: Tensor, columns: Tensor, row_target: Tensor, column_target: Tensor):
    """Mean of two cross entropies of logits against distributions, both (batch, batch)."""
    return (F.cross_entropy(rows, row_target) + F.cross_entropy(columns, column_target)) / 2


def nothing(*vectors: Tensor) -> Tensor:
    """Zero, with zero gradients to all of `vectors`: workers wait for a gradient of everything."""
    return torch.stack([rows.sum() for rows in vectors]).sum() * 0.0
