"""Objectives: named terms from what the student gives and what the teacher stored to a loss.

A recipe names terms and their weights, `{"image_feature": 1.0, "image_affinity": 0.5}`; the loop knows
none of them. `given` holds the student's unit vectors and `batch` the stored ones, each (batch, width):

    given   image, zh, en (of pairs), text (of text alone), scale (one over the temperature)
    batch   image_vector, zh_vector, en_vector, text_vector, has_zh, has_en (zeros and ones), and anchors,
            the teacher's vectors of captions drawn from all pairs

`gather` concatenates rows of all workers with gradients, so that contrasts see the global batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training import losses

LANGUAGES = ("zh", "en")
AFFINITY_TEMPERATURE = 0.05
SOFTNESS = 0.5


@dataclass(frozen=True)
class Context:
    """What a term may look at."""

    given: dict[str, Tensor]
    batch: dict[str, Tensor]
    gather: Callable[[Tensor], Tensor]


def image_feature(at: Context) -> Tensor:
    """Student's image vectors against the teacher's."""
    return losses.cosine_distance(at.given["image"], at.batch["image_vector"])


def text_feature(at: Context) -> Tensor:
    """Student's text vectors against the teacher's: text alone, and captions in both languages."""
    terms = [
        losses.cosine_distance(at.given[lang], at.batch[f"{lang}_vector"], at.batch[f"has_{lang}"])
        for lang in LANGUAGES
        if lang in at.given
    ]
    if "text" in at.given:
        terms.append(losses.cosine_distance(at.given["text"], at.batch["text_vector"]))
    return torch.stack(terms).mean()


def image_affinity(at: Context) -> Tensor:
    """Student's images and the teacher's, each compared with the teacher's texts of many pairs."""
    return losses.affinity(
        at.given["image"], at.batch["image_vector"], at.batch["anchors"], AFFINITY_TEMPERATURE
    )


def text_affinity(at: Context) -> Tensor:
    """Student's text and the teacher's, each compared with the teacher's texts of the batch."""
    anchors = at.gather(at.batch["text_vector"])
    return losses.affinity(at.given["text"], at.batch["text_vector"], anchors, AFFINITY_TEMPERATURE)


def image_contrastive(at: Context) -> Tensor:
    """Student's images against the teacher's stored texts: which caption is theirs?"""
    return _contrastive(at, {lang: at.batch[f"{lang}_vector"] for lang in LANGUAGES})


def contrastive(at: Context) -> Tensor:
    """Student's images against the student's texts, symmetric InfoNCE per language (stage 2)."""
    return _contrastive(at, {lang: at.given[lang] for lang in LANGUAGES})


def _contrastive(at: Context, texts: dict[str, Tensor]) -> Tensor:
    images = at.gather(at.given["image"])
    terms = [
        losses.soft_info_nce(
            images, at.gather(text), at.given["scale"], SOFTNESS, at.gather(at.batch[f"has_{lang}"])
        )
        for lang, text in texts.items()
    ]
    return torch.stack(terms).mean()


TERMS: dict[str, Callable[[Context], Tensor]] = {
    term.__name__: term
    for term in (image_feature, text_feature, image_affinity, text_affinity, image_contrastive, contrastive)
}


def check_terms(weights: dict[str, float]) -> None:
    """Raises ValueError for a name that is no term."""
    if unknown := set(weights) - set(TERMS):
        raise ValueError(f"no objective term {', '.join(sorted(unknown))}; there are {', '.join(TERMS)}")


def evaluate_terms(weights: dict[str, float], at: Context) -> tuple[Tensor, dict[str, float]]:
    """(weighted sum, each term's own value)."""
    values = {name: TERMS[name](at) for name in weights}
    total = torch.stack([weights[name] * value for name, value in values.items()]).sum()
    return total, {name: float(value.detach()) for name, value in values.items()}
