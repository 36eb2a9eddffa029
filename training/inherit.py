"""What a student starts from: weights it inherits instead of random ones (TinyCLIP, arXiv 2309.12314).

The image tower takes the first layers of a pretrained EfficientNet-Lite, as far as shapes agree. The text
tower takes the teacher's vectors of the tokens (training/token_meanings.py), reduced to its own width, and
begins as their average: a bag of words that already speaks both languages.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from training.student import Student
from training.token_meanings import TokenMeanings


@torch.no_grad()
def inherit_image_tower(student: Student, name: str) -> int:
    """Copy stem and blocks of a pretrained network; returns the number of blocks that fitted.

    The tower must use its activation (`hidden_act: relu6`). EfficientNet-Lite has no squeeze-and-excite, so
    the tower's starts as nearly the identity.
    """
    from training.lit import load_efficientnet

    source, tower = load_efficientnet(name), student.model.vision_model
    for block in tower.encoder.blocks:
        block.squeeze_excite.expand.weight.zero_()
        block.squeeze_excite.expand.bias.fill_(4.0)
    tower.embeddings.convolution.weight.copy_(source._conv_stem.weight)
    tower.embeddings.batchnorm.load_state_dict(source._bn0.state_dict())
    fitted = 0
    for ours, theirs in zip(tower.encoder.blocks, source._blocks, strict=False):
        pairs = _matching_layers(ours, theirs)
        if any(one.weight.shape != other.weight.shape for one, other in pairs):
            break
        for one, other in pairs:
            one.load_state_dict(other.state_dict())
        fitted += 1
    return fitted


def _matching_layers(ours: nn.Module, theirs: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Layers of a transformers block beside those of the same role in an EfficientNet-Lite block."""
    expansion = []
    if hasattr(theirs, "_expand_conv"):
        expansion = [
            (ours.expansion.expand_conv, theirs._expand_conv),
            (ours.expansion.expand_bn, theirs._bn0),
        ]
    return [
        *expansion,
        (ours.depthwise_conv.depthwise_conv, theirs._depthwise_conv),
        (ours.depthwise_conv.depthwise_norm, theirs._bn1),
        (ours.projection.project_conv, theirs._project_conv),
        (ours.projection.project_bn, theirs._bn2),
    ]


@torch.no_grad()
def inherit_token_embeddings(student: Student, known: Iterable[tuple[list[str], np.ndarray]]) -> int:
    """Start token embeddings from the teacher's vectors of texts; returns how many tokens had one.

    Without any, nothing is changed. The text tower must not be wider than the teacher.

    Args:
        known: texts and the teacher's unit vectors of them (texts, width), in parts. Only these texts are
            asked for, and the teacher for none: a word that they do not hold gives no token a meaning.
    """
    text_model, projection = student.model.text_model, student.model.text_projection
    meanings = None
    for texts, vectors in known:
        meanings = meanings or TokenMeanings(student.tokenizer, vectors.shape[1])
        meanings.add(texts, vectors)
    if meanings is None:
        return 0
    rows, vectors = meanings.vectors()
    if projection.in_features > vectors.shape[1]:
        raise ValueError(
            f"hidden_size {projection.in_features} is more than the teacher's {vectors.shape[1]}"
        )
    center, basis = reduce_width(torch.from_numpy(meanings.sampled), projection.in_features)
    embeddings = text_model.embeddings.word_embeddings.weight
    embeddings.zero_()
    reduced = (torch.from_numpy(vectors) - center) @ basis
    # Small beside what normalisation adds, and the layer norm scales it anyway.
    embeddings[rows] = reduced * (0.06 / reduced.std().clamp_min(1e-6))
    _start_as_average(text_model)
    projection.weight.copy_(basis)
    if projection.bias is not None:
        projection.bias.copy_(2 * center)
    return len(rows)


def reduce_width(vectors: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, (full, width) orthonormal basis of the main directions, rotated so that none stands out)."""
    center = vectors.mean(dim=0)
    covariance = (vectors - center).T @ (vectors - center)
    main = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :width]
    chance = torch.randn(main.shape[1], main.shape[1], generator=torch.Generator().manual_seed(0))
    return center, main @ torch.linalg.qr(chance).Q


def _start_as_average(text_model: nn.Module) -> None:
    """Let the first attention layer pass the mean of all tokens on, with positions in the background."""
    text_model.embeddings.position_embeddings.weight.mul_(0.2)
    text_model.embeddings.token_type_embeddings.weight.zero_()
    attention = text_model.encoder.layer[0].attention
    identity = torch.eye(attention.self.value.in_features)
    attention.self.value.weight.copy_(identity)
    attention.output.dense.weight.copy_(2 * identity)
    attention.self.key.weight.mul_(0.5)
