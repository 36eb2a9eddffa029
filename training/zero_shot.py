"""Zero-shot classification: an exam's images against its class names, in each language.

An exam is a folder in clip_benchmark's webdataset layout (`test/N.tar` with images and `cls`,
`classnames.txt`, `zeroshot_classification_templates.txt`) with a twin of the two text files a further
language, `classnames_zh.txt` and so on. Anything that embeds images and texts can sit it: a teacher, or a
student through `StudentEncoder`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from training import shards
from training.exams.metrics import top_k_accuracy
from training.prefetch import Prefetched
from training.student import Student, image_vectors, text_vectors

SUFFIXES = {"en": "", "zh": "_zh"}
BATCH = 64


@dataclass(frozen=True)
class Exam:
    """Images with their class numbers, and per language the class names and prompt templates.

    A template has `{c}` where the class name goes.
    """

    images: list[Image]
    labels: np.ndarray
    names: dict[str, list[str]]
    templates: dict[str, list[str]]


def read_exam(folder: Path) -> Exam:
    """Read an exam from its folder.

    Raises:
        FileNotFoundError: a file of the layout is missing.
    """
    images, labels = [], []
    tars = sorted((folder / "test").glob("*.tar"))
    if not tars:
        raise FileNotFoundError(f"{folder / 'test'} holds no tar of images")
    for path in tars:
        for sample in shards.read_shard(path):
            images.append(shards.image_of(sample))
            labels.append(int(sample["cls"]))
    names, templates = {}, {}
    for lang, suffix in SUFFIXES.items():
        names[lang] = _lines(folder / f"classnames{suffix}.txt")
        templates[lang] = _lines(folder / f"zeroshot_classification_templates{suffix}.txt")
    return Exam(images, np.array(labels), names, templates)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line]


class StudentEncoder:
    """A student as the two functions of `training.teacher.Teacher`."""

    def __init__(self, student: Student):
        self.student = student
        self.model = student.model.eval()
        self.width = self.model.config.projection_dim

    def prepare_images(self, images: list[Image]) -> torch.Tensor:
        """Pixels (number of images, 3, side, side)."""
        return self.student.image_processor(images, return_tensors="pt")["pixel_values"]

    @torch.inference_mode()
    def embed_prepared(self, prepared: torch.Tensor) -> np.ndarray:
        """Unit vectors (number of images, width)."""
        return image_vectors(self.model, prepared.to(self.model.device)).cpu().numpy()

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """Unit vectors (number of images, width)."""
        return self.embed_prepared(self.prepare_images(images))

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (number of texts, width)."""
        tokens = self.student.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        tokens = tokens.to(self.model.device)
        return text_vectors(self.model, tokens["input_ids"], tokens["attention_mask"]).cpu().numpy()


def class_vectors(encoder, names: list[str], templates: list[str]) -> np.ndarray:
    """One unit vector a class: the normalised mean over the templates (CLIP's prompt ensemble)."""
    prompts = [template.replace("{c}", name) for name in names for template in templates]
    vectors = in_batches(encoder.embed_texts, prompts).reshape(len(names), len(templates), -1).mean(axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def in_batches(embed, inputs: list) -> np.ndarray:
    """`embed` over `inputs`, a batch at a time."""
    starts = range(0, len(inputs), BATCH)
    return np.concatenate([embed(inputs[start : start + BATCH]) for start in starts])


def embed_ahead(encoder, images: list[Image]) -> np.ndarray:
    """Unit vectors (images, width); a thread prepares the next batches while the model computes."""

    def prepare(start: int):
        return encoder.prepare_images(images[start : start + BATCH])

    ready = Prefetched(prepare, range(0, len(images), BATCH))
    return np.concatenate([encoder.embed_prepared(prepared) for _, prepared in ready])


def similarities(encoder, exam: Exam) -> dict[str, np.ndarray]:
    """Per language, the cosine of every image with every class, (images, classes)."""
    return class_scores(encoder, embed_ahead(encoder, exam.images), exam)


def class_scores(encoder, images: np.ndarray, exam: Exam) -> dict[str, np.ndarray]:
    """Per language, the cosine of each of the vectors `images` with every class, (images, classes)."""
    return {
        lang: images @ class_vectors(encoder, names, exam.templates[lang]).T
        for lang, names in exam.names.items()
    }


def accuracies(scores: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, dict[str, float]]:
    """top1 and top5 per language."""
    return {
        lang: {f"top{k}": top_k_accuracy(rows, labels, k) for k in (1, 5)} for lang, rows in scores.items()
    }


def chance(exam: Exam) -> dict[str, dict[str, float]]:
    """What guessing gives, in the shape of `accuracies`."""
    return {lang: {f"top{k}": min(1.0, k / len(names)) for k in (1, 5)} for lang, names in exam.names.items()}
