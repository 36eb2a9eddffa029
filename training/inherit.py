"""What a student starts from: weights it inherits instead of random ones (TinyCLIP, arXiv 2309.12314).

The image tower takes the first layers of a pretrained EfficientNet-Lite, as far as shapes agree. The text
tower takes what the teacher's vectors tell of the tokens (training/token_meanings.py), reduced to its own
width, and begins as their mean: a bag of words that already speaks both languages.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

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
    """Start the text tower from the teacher's vectors of texts; returns how many tokens had a meaning.

    Without any, nothing is changed. The text tower must not be wider than the teacher.

    Args:
        known: texts and the teacher's unit vectors of them (texts, width), in parts. Only these texts are
            asked for, and the teacher for none: a word that they do not hold gives no token a meaning.
    """
    meanings = None
    for texts, vectors in known:
        meanings = meanings or TokenMeanings(student.tokenizer, vectors.shape[1])
        meanings.add(texts, vectors)
    if meanings is None:
        return 0
    width = student.model.text_projection.in_features
    if width > meanings.width:
        raise ValueError(f"hidden_size {width} is more than the teacher's {meanings.width}")
    basis = main_directions(torch.from_numpy(meanings.covariance), width)
    rows, vectors = meanings.vectors(basis.numpy())
    mark = _direction(width)
    vectors = _without(torch.from_numpy(vectors), mark)
    _fill_table(student, rows, vectors, mark)
    _start_as_mean(student.model.text_model, mark)
    projection = student.model.text_projection
    projection.weight.copy_(_without(basis, mark))
    if projection.bias is not None:
        # The last layer norm gives the sum of a text's tokens this length.
        longer = width**0.5 / vectors.norm(dim=1).mean().clamp_min(1e-6)
        projection.bias.copy_(torch.from_numpy(meanings.center) * longer)
    return len(rows)


def _direction(width: int) -> torch.Tensor:
    """A direction of length 1 and mean 0, which a layer norm keeps."""
    chance = torch.randn(width, generator=torch.Generator().manual_seed(1))
    return normalize(chance - chance.mean(), dim=0)


def _without(vectors: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The vectors, (any number, width), less their part in a direction of length 1."""
    return vectors - (vectors @ direction)[:, None] * direction


def _fill_table(student: Student, rows: np.ndarray, vectors: torch.Tensor, mark: torch.Tensor) -> None:
    """Write the tokens' vectors and, for both ends of a text, `mark`; all other tokens are zero."""
    table = student.model.text_model.embeddings.word_embeddings.weight
    table.zero_()
    # Small beside what normalisation adds, and the layer norm scales it anyway.
    table[rows] = vectors * (0.06 / vectors.std().clamp_min(1e-6))
    table[[student.tokenizer.cls_token_id, student.tokenizer.sep_token_id]] = mark


def main_directions(covariance: torch.Tensor, width: int) -> torch.Tensor:
    """(full, width) orthonormal basis of the main directions, rotated so that none stands out."""
    main = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :width]
    chance = torch.randn(main.shape[1], main.shape[1], generator=torch.Generator().manual_seed(0))
    return main @ torch.linalg.qr(chance).Q


def _start_as_mean(text_model: nn.Module, mark: torch.Tensor) -> None:
    """Let the text tower give the mean of a text's tokens, with positions in the background.

    The ends stand in the direction `mark`, in which no token has a part, and the first layer's keys turn away
    from it. What else the layers add to the mean begins at nothing.
    """
    text_model.embeddings.position_embeddings.weight.mul_(0.2)
    text_model.embeddings.token_type_embeddings.weight.zero_()
    for layer in text_model.encoder.layer:
        layer.attention.output.dense.weight.zero_()
        layer.output.dense.weight.zero_()
    attention = text_model.encoder.layer[0].attention
    identity = torch.eye(attention.self.value.in_features)
    attention.self.value.weight.copy_(identity)
    attention.output.dense.weight.copy_(2 * identity)
    attention.self.key.weight.mul_(0.5)
    first_of_heads = slice(None, None, attention.self.attention_head_size)
    attention.self.query.weight[first_of_heads] = mark
    attention.self.key.weight[first_of_heads] = -0.125 * mark
