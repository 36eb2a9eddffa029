"""Affinity distillation: the student's similarities against the teacher's.

Affinity mimicking of TinyCLIP (arXiv 2309.12314), the contrastive relation of CLIP-KD (arXiv 2307.12732):
the softmax over a row of similarities is taught by the teacher's. While one tower learns, the other side is
the teacher's. Student and teacher share one fixed temperature here; in the papers each has its own.
"""

from torch import Tensor

from training import losses
from training.objectives.context import Context, mean

TEMPERATURE = 0.05


def image_affinity(at: Context) -> Tensor:
    """Student's images and the teacher's, each compared with the teacher's texts of many pairs."""
    return losses.affinity(at.given["image"], at.batch["image_vector"], at.batch["anchors"], TEMPERATURE)


def text_affinity(at: Context) -> Tensor:
    """Student's text and the teacher's, each compared with the teacher's texts of the batch."""
    anchors = at.everywhere("text_vector")
    return losses.affinity(at.given["text"], at.batch["text_vector"], anchors, TEMPERATURE)


def affinity(at: Context) -> Tensor:
    """Student's images against the student's texts as the teacher's against the teacher's, both ways."""
    terms = []
    for image, text, teacher_image, teacher_text in at.captioned("image", "{}", "image_vector", "{}_vector"):
        given, wanted = image @ text.T / TEMPERATURE, teacher_image @ teacher_text.T / TEMPERATURE
        if len(given) < 2:
            terms.append(losses.nothing(image, text))
        else:
            terms += [losses.divergence(given, wanted) / 2 + losses.divergence(given.T, wanted.T) / 2]
    return mean(terms)
