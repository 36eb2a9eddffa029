"""Objectives: named terms from what the student gives and what the teacher stored to a loss.

A recipe names terms and their weights, `{"image_feature": 1.0, "image_affinity": 0.5}`; the loop knows
none of them. A technique is a file here: its terms, and what they need beside the batch. `context.py` says
what a term may look at; `helpers.py` and `inputs.py` are all that the loop and its batches see of the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from training.objectives.affinities import affinity, image_affinity, text_affinity
from training.objectives.context import Context
from training.objectives.contrasts import (
    contrastive,
    image_contrastive,
    plain_contrastive,
    text_contrastive,
)
from training.objectives.feature_maps import feature_map
from training.objectives.features import (
    cross_lingual_feature,
    image_feature,
    image_smooth_l1,
    text_feature,
    text_smooth_l1,
)
from training.objectives.momentum import momentum_contrastive
from training.objectives.noise_aware import noise_aware_contrastive
from training.objectives.translation import translation_contrastive

TERMS: dict[str, Callable[[Context], Tensor]] = {
    term.__name__: term
    for term in (
        image_feature,
        text_feature,
        image_smooth_l1,
        text_smooth_l1,
        cross_lingual_feature,
        feature_map,
        image_affinity,
        text_affinity,
        affinity,
        image_contrastive,
        text_contrastive,
        contrastive,
        plain_contrastive,
        momentum_contrastive,
        noise_aware_contrastive,
        translation_contrastive,
    )
}


def check_terms(weights: dict[str, float]) -> None:
    """Raises ValueError for a name that is no term."""
    if unknown := set(weights) - set(TERMS):
        raise ValueError(f"no objective term {', '.join(sorted(unknown))}; there are {', '.join(TERMS)}")


def evaluate_terms(weights: dict[str, float], at: Context) -> tuple[Tensor, dict[str, float]]:
    """(weighted sum, each term's own value).

    Raises:
        ValueError: a term needs what the phase's towers and data do not give.
    """
    # A dict comes out of KFP in any order, and sums of floats depend on it.
    values = {name: _value(name, at) for name in sorted(weights)}
    total = torch.stack([weights[name] * value for name, value in values.items()]).sum()
    return total, {name: float(value.detach()) for name, value in values.items()}


def _value(name: str, at: Context) -> Tensor:
    try:
        return TERMS[name](at)
    except KeyError as missing:
        raise ValueError(
            f"the term {name} needs {missing}, which the phase's towers and data do not give"
        ) from None
