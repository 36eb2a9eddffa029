"""Patch dropout: a ViT trains on a random part of its patches (FLIP, arXiv 2212.00794).

Half of the patches cost about half of the time. At inference all are there.
"""

import torch
from torch import Tensor, nn


def add_patch_dropout(model: nn.Module, share: float) -> list[torch.utils.hooks.RemovableHandle]:
    """Drop `share` of the patches of each image while the model trains; returns hooks to remove.

    Raises:
        ValueError: the image tower has no patches.
    """
    embeddings = [
        module for name, module in model.named_modules() if name.endswith("vision_model.embeddings")
    ]
    if not share:
        return []
    if not embeddings or not hasattr(embeddings[0], "patch_embedding"):
        raise ValueError("patch dropout needs an image tower of patches (a ViT)")
    num_special = 1 if hasattr(embeddings[0], "class_embedding") else 0

    def drop(module: nn.Module, _inputs: tuple, tokens: Tensor) -> Tensor:
        return kept_patches(tokens, share, num_special) if module.training else tokens

    return [embeddings[0].register_forward_hook(drop)]


def kept_patches(tokens: Tensor, share: float, num_special: int) -> Tensor:
    """Tokens (batch, length, width) without a random `share` of those after the first `num_special`."""
    batch, length, width = tokens.shape
    num_kept = max(1, round((length - num_special) * (1 - share)))
    chance = torch.rand(batch, length - num_special, device=tokens.device)
    order = chance.argsort(dim=1)[:, :num_kept, None].expand(-1, -1, width)
    return torch.cat([tokens[:, :num_special], tokens[:, num_special:].gather(1, order)], dim=1)
