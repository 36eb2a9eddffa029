"""DC-CLIP's own stage 1, for comparison: feature maps by SmoothL1, with the teacher in the loop.

The student's last feature map goes through a 1x1 convolution, which learns with it and is thrown away, to
the teacher's channels (arXiv 2404.11249). What the paper does not say is ours: the teacher's map is resized
to the student's grid and brought to zero mean and unit variance image by image, so that teachers of any
scale suit one learning rate. It is for the image tower: texts of two tokenizers have no common positions.

The teacher sees the very pixels that the student sees, augmented, at its own size.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infra.store import read_json
from training.objectives.context import Context
from training.teacher import CARD

ImageNetwork = Callable[[Tensor], Tensor]


def feature_map(at: Context) -> Tensor:
    """SmoothL1 between the student's adapted feature map and the teacher's."""
    given, wanted = at.given["image_map"], at.batch["teacher_map"]
    wanted = F.interpolate(wanted, given.shape[-2:], mode="bilinear", align_corners=False)
    return F.smooth_l1_loss(given, F.layer_norm(wanted, wanted.shape[1:]))


def as_map(features: Tensor) -> Tensor:
    """Maps (batch, channels, height, width), also of a ViT's tokens (batch, length, channels)."""
    if features.ndim == 4:
        return features
    side = math.isqrt(features.shape[1])
    if features.shape[1] - side * side > 1:
        raise ValueError(f"{features.shape[1]} tokens are no square of patches; is patch_dropout on?")
    # A class token, where there is one, comes first.
    patches = features[:, -side * side :]
    return patches.transpose(1, 2).unflatten(2, (side, side))


@contextlib.contextmanager
def watched_map(tower: nn.Module) -> Iterator[list[Tensor]]:
    """A list that holds the image tower's last feature map once it has run."""
    maps: list[Tensor] = []
    hook = tower.register_forward_hook(lambda *call: maps.append(as_map(call[-1].last_hidden_state)))
    try:
        yield maps
    finally:
        hook.remove()


class MapAdapter(nn.Module):
    """The image tower's last feature map in the teacher's channels."""

    def __init__(self, model: nn.Module, num_channels: int):
        super().__init__()
        side = model.config.vision_config.image_size
        device = next(model.parameters()).device
        own = _num_channels(lambda pixels: as_map(_last_map(model, pixels)), side, device)
        self.convolution = nn.Conv2d(own, num_channels, 1, device=device)

    def forward(self, feature_map: Tensor) -> Tensor:
        """(batch, num_channels, height, width)."""
        return self.convolution(feature_map.float())


@torch.no_grad()
def _last_map(model: nn.Module, pixels: Tensor) -> Tensor:
    """The tower's map of pixels that leave no trace in its batch statistics."""
    was_training = model.training
    try:
        return model.eval().vision_model(pixel_values=pixels).last_hidden_state
    finally:
        model.train(was_training)


@torch.no_grad()
def _num_channels(network: ImageNetwork, side: int, device: torch.device) -> int:
    return network(torch.zeros(1, 3, side, side, device=device)).shape[1]


class OnlineTeacher:
    """A teacher's image network in the loop: pixels in [-1, 1] to feature maps."""

    def __init__(self, folder: Path, device: torch.device):
        kind = read_json(folder / CARD)["kind"]
        openers = {"lit": _lit_network, "hf": _hf_network}
        if kind not in openers:
            raise ValueError(f"{folder}: a teacher in the loop is of the kind lit or hf, not {kind!r}")
        self.network, self.side, self.mean, self.deviation = openers[kind](folder)
        self.network = self.network.eval().requires_grad_(False).to(device)
        self.num_channels = _num_channels(self, self.side, device)

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """(batch, channels, height, width) of pixels (batch, 3, any, any)."""
        resized = F.interpolate(pixels.float(), (self.side, self.side), mode="bilinear", antialias=True)
        mean, deviation = (
            torch.tensor(each, device=pixels.device).view(3, 1, 1) for each in (self.mean, self.deviation)
        )
        return as_map(self.network(((resized + 1) / 2 - mean) / deviation))


def _lit_network(folder: Path) -> tuple:
    """The first frozen network of an embedded teacher, up to its last convolution."""
    from training.lit import load_efficientnet

    card = read_json(folder / CARD)
    mean, deviation = (127 / 255,) * 3, (128 / 255,) * 3
    return _Features(load_efficientnet(card["networks"][0])), card["image_size"], mean, deviation


class _Features(nn.Module):
    """An EfficientNet-Lite up to its last convolution."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.extract_features(pixels)


def _hf_network(folder: Path) -> tuple:
    """The image tower of a CLIP-like transformers model."""
    from transformers import AutoImageProcessor, AutoModel

    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
    side = model.config.vision_config.image_size
    return _HiddenState(model.vision_model), side, processor.image_mean, processor.image_std


class _HiddenState(nn.Module):
    """A transformers image tower up to its last hidden state."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tower(pixel_values=pixels).last_hidden_state
