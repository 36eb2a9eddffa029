"""Contrasts: which text is this image's, and which image this text's, among the pairs of all workers.

Symmetric InfoNCE per language, DC-CLIP's stage 2 (arXiv 2404.11249) as in CLIP (arXiv 2103.00020). Against
the teacher's stored vectors it is CLIP-KD's interactive contrast (arXiv 2307.12732), for one tower alone.
"""

from torch import Tensor

from training import losses
from training.objectives.context import Context, mean

SOFTNESS = 0.5


def image_contrastive(at: Context) -> Tensor:
    """Student's images against the teacher's texts, half of the target soft."""
    return _contrast(at, "image", "{}_vector", SOFTNESS)


def text_contrastive(at: Context) -> Tensor:
    """Student's texts against the teacher's images, half of the target soft."""
    return _contrast(at, "{}", "image_vector", SOFTNESS)


def contrastive(at: Context) -> Tensor:
    """Student's images against the student's texts, half of the target soft: a near twin is no enemy."""
    return _contrast(at, "image", "{}", SOFTNESS)


def plain_contrastive(at: Context) -> Tensor:
    """`contrastive` with the hard target of the paper."""
    return _contrast(at, "image", "{}", 0.0)


def _contrast(at: Context, queries: str, keys: str, softness: float) -> Tensor:
    scale = at.given["scale"]
    rows = at.captioned(queries, keys)
    return mean([losses.soft_info_nce(query, key, scale, softness) for query, key in rows])
