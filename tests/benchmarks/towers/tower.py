"""A tower to be measured: a module from pixels or tokens to vectors, and what it is given."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tower:
    """`module` takes `pixel_values` or `input_ids` and `attention_mask`, by `kind`, `image` or `text`.

    `side` is that of pictures in pixels. Of the token table (tokens, width) in `left_out` were not built:
    they cost memory to build and no time to use.
    """

    kind: str
    module: nn.Module
    side: int = 0
    left_out: tuple[int, int] = (0, 0)

    @property
    def num_parameters(self) -> int:
        """All that have a part in the vectors, what was left out of the token table included."""
        built = (item.numel() for name, item in self.module.named_parameters() if ".pooler." not in name)
        return sum(built) + self.left_out[0] * self.left_out[1]

    @property
    def left_out_bytes(self) -> dict[str, int]:
        """What the files lack, by precision; int8 has a float32 scale a row."""
        tokens, width = self.left_out
        return {"fp32": 4 * tokens * width, "int8": tokens * (width + 4)}


@torch.no_grad()
def settle(module: nn.Module, side: int) -> None:
    """Show it pictures, or an untrained convolutional network computes in slow denormal numbers."""
    norms = [item for item in module.modules() if isinstance(item, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        module.train()(torch.rand(4, 3, side, side) * 2 - 1)
    module.eval()


def unit(vectors: Tensor) -> Tensor:
    """Of length one, (batch, width)."""
    return nn.functional.normalize(vectors, dim=1)
