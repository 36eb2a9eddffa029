"""Chinese-CLIP RN50's two towers with random weights, the published yardstick of speed (arXiv 2211.01335).

Transformers has its ViT sizes only. The image tower is CLIP's changed ResNet-50 (arXiv 2103.00020, section
2.4): a stem of three convolutions, average pooling where others stride, attention instead of the last
pooling; 38.3M parameters as published. The text tower is RBT3, a BERT of 3 layers; 39M.
"""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

IMAGE_SIZE, WIDTH, VOCAB_SIZE, MAX_TOKENS = 224, 1024, 21_128, 52


class Bottleneck(nn.Module):
    """ResNet's block of 1x1, 3x3 and 1x1 convolutions that pools instead of striding."""

    def __init__(self, width: int, planes: int, stride: int):
        super().__init__()
        out = 4 * planes
        pool = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.main = nn.Sequential(
            *conv_norm_relu(width, planes, 1),
            *conv_norm_relu(planes, planes, 3),
            *pool,
            nn.Conv2d(planes, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.short = nn.Identity()
        if stride > 1 or width != out:
            self.short = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, at: Tensor) -> Tensor:
        return torch.relu(self.main(at) + self.short(at))


class AttentionPool(nn.Module):
    """The mean of all places asks all places; (batch, channels, side, side) to (batch, WIDTH)."""

    def __init__(self, channels: int = 2048, heads: int = 32, places: int = (IMAGE_SIZE // 32) ** 2):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(places + 1, channels) / channels**0.5)
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.out, self.heads = nn.Linear(channels, WIDTH), heads

    def forward(self, at: Tensor) -> Tensor:
        places = at.flatten(2).transpose(1, 2)
        places = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1) + self.positions
        inputs = ((self.query, places[:, :1]), (self.key, places), (self.value, places))
        split = [layer(rows).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer, rows in inputs]
        return self.out(nn.functional.scaled_dot_product_attention(*split).flatten(1))


class ImageTower(nn.Sequential):
    """Pixels (batch, 3, 224, 224) to vectors (batch, WIDTH)."""

    def __init__(self):
        stem = [
            *conv_norm_relu(3, 32, 3, 2),
            *conv_norm_relu(32, 32, 3),
            *conv_norm_relu(32, 64, 3),
            nn.AvgPool2d(2),
        ]
        blocks, width = [], 64
        for planes, repeats, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for number in range(repeats):
                blocks.append(Bottleneck(width, planes, stride if number == 0 else 1))
                width = 4 * planes
        super().__init__(*stem, *blocks, AttentionPool())


class TextTower(nn.Module):
    """Tokens (batch, length) to vectors (batch, WIDTH)."""

    def __init__(self):
        super().__init__()
        config = BertConfig(vocab_size=VOCAB_SIZE, num_hidden_layers=3)
        self.bert, self.out = BertModel(config, add_pooling_layer=False), nn.Linear(768, WIDTH, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.out(self.bert(input_ids, attention_mask=attention_mask).last_hidden_state[:, 0])


def conv_norm_relu(width: int, out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the side but for its stride, a norm, an activation."""
    return [
        nn.Conv2d(width, out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]
