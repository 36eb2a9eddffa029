"""A tower of a transformers model from its configuration, without the other tower and without waste."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from tests.benchmarks.towers.tower import Tower
from training.student import image_vectors, text_vectors

# Rows of a token table that is not built in full.
FEW_TOKENS = 1_024


def build_tower(model_class: type[PreTrainedModel], config: PreTrainedConfig, kind: str) -> Tower:
    """The tower with random weights in evaluation mode."""
    with torch.device("meta"):
        model = model_class(config)
    unused = ("text_model", "text_projection") if kind == "image" else ("vision_model", "visual_projection")
    for name in unused:
        delattr(model, name)
    fill(model.to_empty(device="cpu"))
    if kind == "image":
        return Tower(kind, Images(model).eval(), side=config.vision_config.image_size)
    return Tower(kind, Texts(model).eval())


class Images(nn.Module):
    """Pixels (batch, 3, side, side) to unit vectors (batch, width)."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return image_vectors(self.model, pixel_values)


class Texts(nn.Module):
    """Tokens (batch, length) to unit vectors (batch, width)."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return text_vectors(self.model, input_ids, attention_mask)


@torch.no_grad()
def fill(model: nn.Module) -> nn.Module:
    """Weights as from a constructor: matrices small and random, norms as they are at the start."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.02)
        else:
            parameter.fill_(float(name.endswith("weight")))
    for name, buffer in model.named_buffers():
        is_positions = name.endswith("position_ids")
        buffer.copy_(
            torch.arange(buffer.numel()).view_as(buffer) if is_positions else torch.zeros_like(buffer)
        )
    return model
