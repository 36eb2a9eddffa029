"""Stage 1: the student's vectors against the teacher's, row by row.

Cosine distance is CLIP-KD's feature distillation (arXiv 2307.12732) on unit vectors; SmoothL1 is DC-CLIP's
loss (arXiv 2404.11249) on the projected features. The cross-lingual term is the one of AltCLIP's teacher
learning (arXiv 2211.06679): a Chinese text takes the vector of its English translation.
"""

from collections.abc import Callable

from torch import Tensor

from training import losses
from training.objectives.context import LANGUAGES, Context, mean


def image_feature(at: Context) -> Tensor:
    """Student's image vectors against the teacher's."""
    return losses.cosine_distance(at.given["image"], at.batch["image_vector"])


def text_feature(at: Context) -> Tensor:
    """Student's text vectors against the teacher's: text alone, and captions in both languages."""
    return _of_texts(at, losses.cosine_distance)


def image_smooth_l1(at: Context) -> Tensor:
    """`image_feature` by SmoothL1."""
    return losses.smooth_l1(at.given["image"], at.batch["image_vector"])


def text_smooth_l1(at: Context) -> Tensor:
    """`text_feature` by SmoothL1."""
    return _of_texts(at, losses.smooth_l1)


def cross_lingual_feature(at: Context) -> Tensor:
    """Student's Chinese captions against the teacher's English ones, where both exist."""
    both = at.batch["has_zh"] * at.batch["has_en"]
    return losses.cosine_distance(at.given["zh"], at.batch["en_vector"], both) * at.share(both)


def _of_texts(at: Context, distance: Callable[..., Tensor]) -> Tensor:
    terms = []
    for lang in LANGUAGES:
        if lang in at.given:
            there = at.batch[f"has_{lang}"]
            terms.append(distance(at.given[lang], at.batch[f"{lang}_vector"], there) * at.share(there))
    if "text" in at.given:
        terms.append(distance(at.given["text"], at.batch["text_vector"]))
    return mean(terms)
