"""Momentum distillation: a slow average of the student says which other pairs a pair resembles.

ALBEF (arXiv 2107.07651): momentum 0.995, 0.4 of the target from the average, and each tower compared with
the average's vectors of the other. The batch of all workers stands in for its queue. Left out on purpose:
the ramp of the 0.4, as stage 2 starts from a student that already knows something.
"""

import copy

import torch
from torch import Tensor, nn

from training import losses
from training.objectives.context import Context, mean

MOMENTUM = 0.995
SOFT_SHARE = 0.4


class MomentumStudent:
    """A moving average of the towers' weights, and its vectors of a batch."""

    def __init__(self, towers: nn.Module):
        self.towers = copy.deepcopy(towers).requires_grad_(False)

    @torch.no_grad()
    def targets(self, batch: dict) -> dict[str, Tensor]:
        """`momentum_image`, `momentum_zh`, `momentum_en`."""
        given = self.towers(batch)
        return {f"momentum_{name}": given[name] for name in ("image", "zh", "en")}

    @torch.no_grad()
    def follow(self, towers: nn.Module) -> None:
        """Move a little towards the towers, after each of their steps."""
        for mine, theirs in zip(self.towers.parameters(), towers.parameters(), strict=True):
            mine.lerp_(theirs, 1 - MOMENTUM)


def momentum_contrastive(at: Context) -> Tensor:
    """InfoNCE per language against the average's vectors, with the average's own answer in the target."""
    rows = at.captioned("image", "{}", "momentum_image", "momentum_{}")
    return mean([momentum_info_nce(*each, at.given["scale"]) for each in rows])


def momentum_info_nce(image: Tensor, text: Tensor, slow_image: Tensor, slow_text: Tensor, scale: Tensor):
    """Mean of image to text and text to image; no gradient goes to the average's side."""
    if len(image) < 2:
        return losses.nothing(image, text)
    slow_image, slow_text = slow_image.detach(), slow_text.detach()
    slow = scale.detach() * slow_image @ slow_text.T
    own = (1 - SOFT_SHARE) * torch.eye(len(image), device=image.device)
    targets = [own + SOFT_SHARE * logits.softmax(dim=1) for logits in (slow, slow.T)]
    return losses.symmetric_cross_entropy(scale * image @ slow_text.T, scale * text @ slow_image.T, *targets)
