"""MobileCLIP-S0's towers (arXiv 2311.17049, English only) as they run: branches of training folded into one.

Written from the papers (FastViT, arXiv 2303.14189; MobileOne, arXiv 2206.04040) with the sizes of
mobileclip/configs/mobileclip_s0.json and of `mci0` in apple/ml-mobileclip. The parameters come to the
published 11.4M and 42.4M. The image tower is a FastViT: stages of depthwise 3x3 convolutions, each with a
convolutional feed-forward network, and self-attention in the last. The text tower has such a block, one
dimensional, before and after its four transformer layers.
"""

import torch
from torch import Tensor, nn

from tests.benchmarks.towers.tower import Tower, settle, unit

IMAGE_SIZE, WIDTH = 256, 512
STAGES = ((64, 2), (128, 6), (256, 10), (512, 2))
# Stages that the squeeze-and-excite of a merge leads to.
GATED = (256, 512)
FEED_FORWARD, HEAD_WIDTH, POSITION_KERNEL = 3, 32, 7
VOCAB_SIZE, MAX_TOKENS, TEXT_LAYERS, TEXT_HEADS, TEXT_KERNEL, TEXT_FEED_FORWARD = 49_408, 77, 4, 8, 11, 4


def build_s0(kind: str) -> Tower:
    """A tower with random weights."""
    if kind == "text":
        return Tower(kind, TextTower().eval())
    module = ImageTower()
    settle(module, IMAGE_SIZE)
    return Tower(kind, module, side=IMAGE_SIZE)


class Gate(nn.Module):
    """Squeeze and excite: each channel times what the means of all channels make of it."""

    def __init__(self, width: int, share: float):
        super().__init__()
        inner = int(width * share)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1)
        )

    def forward(self, at: Tensor) -> Tensor:
        return at * self.gate(at).sigmoid()


def depthwise(width: int, kernel: tuple[int, int], out: int = 0, stride: int = 1) -> nn.Conv2d:
    """A convolution of each channel alone that keeps the side but for its stride."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(width, out or width, kernel, stride, padding, groups=width)


class FeedForward(nn.Sequential):
    """A depthwise convolution with a norm, then two layers at each place."""

    def __init__(self, width: int, kernel: tuple[int, int], times: int):
        convolution = depthwise(width, kernel)
        # The norm has the bias.
        convolution.bias = None
        super().__init__(
            convolution,
            nn.BatchNorm2d(width),
            nn.Conv2d(width, times * width, 1),
            nn.GELU(),
            nn.Conv2d(times * width, width, 1),
        )


class ConvolutionBlock(nn.Module):
    """FastViT's RepMixer block: places mixed by a depthwise convolution, then a feed-forward network."""

    def __init__(self, width: int, mixer: tuple[int, int], kernel: tuple[int, int], times: int):
        super().__init__()
        self.mixer = depthwise(width, mixer)
        self.feed_forward = FeedForward(width, kernel, times)
        self.scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, at: Tensor) -> Tensor:
        at = self.mixer(at)
        return at + self.scale * self.feed_forward(at)


class Attention(nn.Module):
    """Self-attention of places, (batch, places, width)."""

    def __init__(self, width: int, heads: int, bias: bool):
        super().__init__()
        self.inputs, self.out, self.heads = nn.Linear(width, 3 * width, bias), nn.Linear(width, width), heads

    def forward(self, at: Tensor, mask: Tensor | None = None) -> Tensor:
        parts = self.inputs(at).chunk(3, dim=2)
        split = [part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts]
        mixed = nn.functional.scaled_dot_product_attention(*split, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


class AttentionBlock(nn.Module):
    """Places mixed by attention, then a feed-forward network."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.attention = Attention(width, width // HEAD_WIDTH, bias=False)
        self.feed_forward = FeedForward(width, (7, 7), FEED_FORWARD)
        self.scales = nn.Parameter(torch.ones(2, width, 1, 1))

    def forward(self, at: Tensor) -> Tensor:
        mixed = self.attention(self.norm(at).flatten(2).transpose(1, 2)).transpose(1, 2).reshape(at.shape)
        at = at + self.scales[0] * mixed
        return at + self.scales[1] * self.feed_forward(at)


def stem(width: int) -> list[nn.Module]:
    """A picture to a quarter of its side."""
    layers = (nn.Conv2d(3, width, 3, 2, 1), depthwise(width, (3, 3), stride=2), nn.Conv2d(width, width, 1))
    return [item for layer in layers for item in (layer, nn.GELU())]


def merge(width: int, out: int) -> list[nn.Module]:
    """To half the side."""
    gate = [Gate(out, 1 / 4)] if out in GATED else []
    return [
        depthwise(width, (7, 7), out, stride=2),
        *gate,
        nn.GELU(),
        nn.Conv2d(out, out, 1),
        nn.GELU(),
    ]


class Positions(nn.Module):
    """Conditional positions (arXiv 2102.10882), their skip connection folded in."""

    def __init__(self, width: int):
        super().__init__()
        self.convolution = depthwise(width, (POSITION_KERNEL, POSITION_KERNEL))

    def forward(self, at: Tensor) -> Tensor:
        return self.convolution(at)


class ImageTower(nn.Module):
    """Pixels (batch, 3, 256, 256) to unit vectors (batch, 512)."""

    def __init__(self):
        super().__init__()
        layers = stem(STAGES[0][0])
        for number, (width, repeats) in enumerate(STAGES):
            if number:
                layers += merge(STAGES[number - 1][0], width)
            is_last = number == len(STAGES) - 1
            layers += [Positions(width)] if is_last else []
            for _ in range(repeats):
                block = ConvolutionBlock(width, (3, 3), (7, 7), FEED_FORWARD) if not is_last else None
                layers.append(block or AttentionBlock(width))
        widest = 2 * STAGES[-1][0]
        layers += [depthwise(STAGES[-1][0], (3, 3), widest), Gate(widest, 1 / 16), nn.GELU()]
        self.layers, self.out = nn.Sequential(*layers), nn.Linear(widest, WIDTH, bias=False)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return unit(self.out(self.layers(pixel_values).mean(dim=(2, 3))))


class TextBlock(nn.Module):
    """A convolution block along the text, (batch, length, width)."""

    def __init__(self):
        super().__init__()
        kernel = (1, TEXT_KERNEL)
        self.block = ConvolutionBlock(WIDTH, kernel, kernel, TEXT_FEED_FORWARD)

    def forward(self, at: Tensor, mask: Tensor) -> Tensor:
        return self.block(at.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


class TextLayer(nn.Module):
    """A transformer layer with norms before."""

    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), Attention(WIDTH, TEXT_HEADS, bias=True)
        inner = TEXT_FEED_FORWARD * WIDTH
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, inner), nn.GELU(), nn.Linear(inner, WIDTH)
        )

    def forward(self, at: Tensor, mask: Tensor) -> Tensor:
        at = at + self.attention(self.norm(at), mask)
        return at + self.feed_forward(at)


class TextTower(nn.Module):
    """Tokens (batch, length) to unit vectors (batch, 512), from the place of the largest token."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB_SIZE, WIDTH)
        self.positions = nn.Parameter(torch.randn(MAX_TOKENS, WIDTH) / WIDTH**0.5)
        middle = (TextLayer() for _ in range(TEXT_LAYERS))
        self.layers = nn.ModuleList([TextBlock(), *middle, TextBlock()])
        self.norm, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        at = self.tokens(input_ids) + self.positions[: input_ids.shape[1]]
        mask = attention_mask.bool()[:, None, None]
        for layer in self.layers:
            at = layer(at, mask)
        last = input_ids.argmax(dim=1)[:, None, None].expand(-1, 1, WIDTH)
        return unit(self.out(self.norm(at).gather(1, last).squeeze(1)))
