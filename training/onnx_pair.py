"""The exported pair at work in ONNX Runtime, and how far it is from torch and int8 from float32."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL.Image import Image

from training import zero_shot
from training.export import IMAGE, TEXT
from training.quantize import int8_name
from training.student import Student

SMALL = tuple(int8_name(name) for name in (IMAGE, TEXT))
# Pictures of an exam that a comparison takes at most.
MAX_IMAGES = 1_000


class OnnxEncoder:
    """The exported pair, float32 or int8, as the two functions of `training.teacher.Teacher`."""

    def __init__(self, folder: Path, student: Student, int8: bool = False):
        import onnxruntime

        names = SMALL if int8 else (IMAGE, TEXT)
        self.image, self.text = (onnxruntime.InferenceSession(folder / name) for name in names)
        self.student = student

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """Unit vectors (number of images, width)."""
        pixels = self.student.image_processor(images, return_tensors="np")["pixel_values"]
        return self.image.run(None, {"pixel_values": pixels})[0]

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (number of texts, width)."""
        tokens = self.student.tokenizer(texts, padding=True, truncation=True, return_tensors="np")
        names = ("input_ids", "attention_mask")
        return self.text.run(None, {name: tokens[name] for name in names})[0]


def read_sample(exam_folder: Path) -> zero_shot.Exam:
    """An exam with at most `MAX_IMAGES` pictures, evenly taken."""
    exam = zero_shot.read_exam(exam_folder)
    every = -(-len(exam.images) // MAX_IMAGES)
    return replace(exam, images=exam.images[::every], labels=exam.labels[::every])


def compare_pair(folder: Path, student: Student, exam: zero_shot.Exam, int8: bool) -> dict:
    """How the exported files differ from what they were made of, over an exam.

    Returns:
        `cosine_gap`: the largest 1 - cosine between float32 and torch, of `images` and of `texts` (the class
        names). With int8 also `int8`: `cosine` with float32 (mean and least), `top1` of both per language,
        `drop_points` (of the mean over the languages, in points of percent), `megabytes` and `num_images`.
    """
    fp32 = OnnxEncoder(folder, student)
    theirs = embed_exam(fp32, exam)
    found = cosines(embed_exam(zero_shot.StudentEncoder(student), exam), theirs)
    facts: dict = {"cosine_gap": {kind: float(1 - values.min()) for kind, values in found.items()}}
    if int8:
        small = OnnxEncoder(folder, student, int8=True)
        ours = embed_exam(small, exam)
        top1 = {"fp32": _top1(fp32, theirs["images"], exam), "int8": _top1(small, ours["images"], exam)}
        facts["int8"] = {
            "cosine": {
                kind: {"mean": float(values.mean()), "least": float(values.min())}
                for kind, values in cosines(theirs, ours).items()
            },
            "top1": top1,
            "drop_points": 100 * (_mean(top1["fp32"]) - _mean(top1["int8"])),
            "megabytes": {name: (folder / name).stat().st_size / 2**20 for name in SMALL},
            "num_images": len(exam.images),
        }
    return facts


def embed_exam(encoder, exam: zero_shot.Exam) -> dict[str, np.ndarray]:
    """Vectors of an exam's `images`, and of its class names in both languages, `texts`."""
    names = exam.names["en"] + exam.names["zh"]
    return {
        "images": zero_shot.in_batches(encoder.embed_images, exam.images),
        "texts": zero_shot.in_batches(encoder.embed_texts, names),
    }


def cosines(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Row by row the cosine of two encoders' vectors, by kind of input; NaN where a vector is not finite."""
    found = {}
    for kind in ours:
        a, b = ours[kind].astype(np.float64), theirs[kind].astype(np.float64)
        found[kind] = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return found


def _top1(encoder, images: np.ndarray, exam: zero_shot.Exam) -> dict[str, float]:
    """Zero-shot top-1 per language of pictures that are vectors already."""
    scores = zero_shot.class_scores(encoder, images, exam)
    return {lang: marks["top1"] for lang, marks in zero_shot.accuracies(scores, exam.labels).items()}


def _mean(marks: dict[str, float]) -> float:
    return sum(marks.values()) / len(marks)
