"""Zero-shot classification: an exam's images against its class names, in each language.

An exam is a folder in clip_benchmark's webdataset layout (`test/N.tar` with images and `cls`,
`classnames.txt`, `zeroshot_classification_templates.txt`) with a twin of the two text files a further
language, `classnames_zh.txt` and so on. Anything that embeds images and texts can sit it: a teacher, or a
student through `StudentEncoder`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from training import shards
from training.exams.duplicates import distinct, duplicate_names
from training.exams.folders import open_set, read_names, read_templates
from training.exams.layout import NAMES, SUFFIXES, TEMPLATES, ExamError
from training.exams.metrics import top_k_accuracy
from training.prefetch import Prefetched
from training.student import Student, image_vectors, text_vectors

BATCH = 64


@dataclass(frozen=True)
class Exam:
    """Images with their class numbers, and per language the class names and prompt templates.

    A template has `{c}` where the class name goes. `num_unreadable` counts samples without an image that can
    be decoded, `left_out` files that are no samples, by reason.
    """

    images: list[Image]
    labels: np.ndarray
    names: dict[str, list[str]]
    templates: dict[str, list[str]]
    num_unreadable: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def duplicate_names(self) -> dict[str, dict[str, list[int]]]:
        """By language the names that more than one class has, with the class numbers, where there are any."""
        found = {lang: duplicate_names(names) for lang, names in self.names.items()}
        return {lang: names for lang, names in found.items() if names}


def read_exam(folder: Path) -> Exam:
    """Read an exam from its folder, by the same rules as published ones (training/exams/folders.py).

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ExamError: a file does not fit: an empty line among the names, a label that names no class.
    """
    names, templates = {}, {}
    for lang, suffix in SUFFIXES.items():
        names[lang] = _required(read_names, folder / f"{NAMES}{suffix}.txt")
        templates[lang] = _required(read_templates, folder / f"{TEMPLATES}{suffix}.txt")
    counts = {lang: len(found) for lang, found in names.items()}
    if len(set(counts.values())) > 1:
        raise ExamError(f"{folder}: the lists of class names differ in length: {counts}")
    pictures = open_set(folder)
    images, labels, num_unreadable = [], [], 0
    for content, label in pictures.samples():
        if not isinstance(label, int) or label >= counts["en"]:
            raise ExamError(f"{folder}: a sample has the label {label}, there are {counts['en']} classes")
        image = None if content is None else shards.decode_or_none(content)
        if image is None:
            num_unreadable += 1
        else:
            images.append(image)
            labels.append(label)
    if not images:
        raise ExamError(f"{folder} has no image that can be read")
    return Exam(images, np.array(labels), names, templates, num_unreadable, pictures.left_out)


def _required(read: Callable[[Path], tuple[str, ...] | None], path: Path) -> list[str]:
    found = read(path)
    if found is None:
        raise FileNotFoundError(f"{path} is missing")
    return list(found)


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
    """Per language, the cosine of each of the vectors `images` with every class, (images, classes).

    Of classes that share a name the first comes out a hair above the others, as the argmax of published
    evaluations has it; any other tie counts against the right answer.
    """
    found = {}
    for lang, names in exam.names.items():
        different, at = distinct(names)
        scores = images @ class_vectors(encoder, different, exam.templates[lang]).T
        found[lang] = first_above(scores[:, at], duplicate_names(names))
    return found


def first_above(scores: np.ndarray, shared: dict[str, list[int]]) -> np.ndarray:
    """The scores; of classes that share a name, each that equals the first is a hair below the one before."""
    scores = scores.copy()
    for first, *others in shared.values():
        lowest = scores[:, first].copy()
        for number in others:
            equal = scores[:, number] == scores[:, first]
            lowest[equal] = np.nextafter(lowest[equal], scores.dtype.type(-np.inf))
            scores[equal, number] = lowest[equal]
    return scores


def ties_wrong(hits: dict[str, np.ndarray], exam: Exam) -> dict[str, float]:
    """By language with duplicate names top-1 when no class that shares its name counts as found."""
    found = {}
    for lang, names in exam.duplicate_names.items():
        shared = [number for numbers in names.values() for number in numbers]
        found[lang] = float((hits[lang] & ~np.isin(exam.labels, shared)).mean())
    return found


def accuracies(scores: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, dict[str, float]]:
    """top1 and top5 per language."""
    return {
        lang: {f"top{k}": top_k_accuracy(rows, labels, k) for k in (1, 5)} for lang, rows in scores.items()
    }


def chance(exam: Exam) -> dict[str, dict[str, float]]:
    """What guessing gives, in the shape of `accuracies`."""
    return {lang: {f"top{k}": min(1.0, k / len(names)) for k in (1, 5)} for lang, names in exam.names.items()}
