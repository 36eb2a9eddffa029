"""The exported pair at work in ONNX Runtime, and how far it is from torch and int8 from float32."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from PIL.Image import Image
from transformers import AutoImageProcessor, PreTrainedTokenizerFast
from transformers.image_processing_backends import PilBackend

from infra.cpu import cpu_name
from infra.store import read_json
from training import zero_shot
from training.export import IMAGE, SETTINGS, TEXT
from training.job import STUDENT
from training.quantize import int8_name
from training.student import Student

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SMALL = tuple(int8_name(name) for name in (IMAGE, TEXT))
# Pictures of an exam that a comparison takes at most.
MAX_IMAGES = 1_000
INPUTS = {IMAGE: ["pixel_values"], TEXT: ["input_ids", "attention_mask"]}
# What ONNX Runtime promises to run; below that a node may mean something else.
MIN_OPSET = 7


class BrokenPair(ValueError):
    """A folder is no whole export of dcclip; the message says what is missing, foreign or too old."""


@dataclass(frozen=True)
class Companions:
    """What makes the pair's inputs, without the weights in torch that a `Student` has too.

    `scale` is what cosines are multiplied by to be logits.
    """

    tokenizer: PreTrainedTokenizerFast
    image_processor: PilBackend
    scale: float


def load_companions(folder: Path) -> Companions:
    """Tokenizer, image processor and scale from a folder that export_student has written.

    Raises:
        BrokenPair: one of them is not there, or is something else.
    """
    student = folder / STUDENT
    try:
        scale = float(read_json(folder / SETTINGS)["scale"])
        processor = AutoImageProcessor.from_pretrained(
            student, local_files_only=True, trust_remote_code=False
        )
        return Companions(PreTrainedTokenizerFast.from_pretrained(student), processor, scale)
    # The libraries raise what their parsers raise: OSError, ValueError, KeyError, plain Exception.
    except Exception as error:
        raise BrokenPair(f"{folder} is no whole export of dcclip: {first_line(error)}") from None


class OnnxEncoder:
    """The exported pair, float32 or int8, as the two functions of `training.teacher.Teacher`."""

    def __init__(self, folder: Path, student: Student | Companions, int8: bool = False):
        """Open both towers.

        Raises:
            BrokenPair: a file is missing, cut off, of an opset too old, or no tower.
        """
        self.image, self.text = (open_tower(folder, name, int8) for name in (IMAGE, TEXT))
        self.student = student

    def prepare_images(self, images: list[Image]) -> np.ndarray:
        """Pixels (number of images, 3, side, side)."""
        return self.student.image_processor(images, return_tensors="np")["pixel_values"]

    def embed_prepared(self, prepared: np.ndarray) -> np.ndarray:
        """Unit vectors (number of images, width)."""
        return self.image.run(None, {"pixel_values": prepared})[0]

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """Unit vectors (number of images, width)."""
        return self.embed_prepared(self.prepare_images(images))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (number of texts, width)."""
        tokens = self.student.tokenizer(texts, padding=True, truncation=True, return_tensors="np")
        return self.text.run(None, {name: tokens[name] for name in INPUTS[TEXT]})[0]


def open_tower(folder: Path, name: str, int8: bool) -> "InferenceSession":
    """A tower, checked to be one.

    Raises:
        BrokenPair: see `OnnxEncoder`.
    """
    import onnxruntime

    path = folder / (int8_name(name) if int8 else name)
    if not path.is_file():
        raise BrokenPair(f"{folder} has no {path.name}: export_student writes it, ROOT/store/export_student/")
    # The opset first: what is too old fails in ONNX Runtime with words about its nodes.
    if (opset := _opened(path, opset_of)) < MIN_OPSET:
        raise BrokenPair(f"{path} is of opset {opset}, ONNX Runtime needs {MIN_OPSET}: export it again")
    session = _opened(path, onnxruntime.InferenceSession)
    found = [value.name for value in session.get_inputs()]
    if found != INPUTS[name]:
        raise BrokenPair(f"{path} is no tower of dcclip: it takes {found}, a tower takes {INPUTS[name]}")
    return session


def _opened(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    # ONNX Runtime and protobuf have errors of their own, which share no base.
    except Exception as error:
        raise BrokenPair(
            f"{path} cannot be opened, it may be cut off: copy it again. {first_line(error)}"
        ) from None


def opset_of(path: Path) -> int:
    """The version of ONNX's own operators that a file is written in."""
    model = onnx.load(path, load_external_data=False)
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def first_line(error: Exception) -> str:
    """What an error says, short."""
    return f"({type(error).__name__}) {(str(error).splitlines() or [''])[0][:300]}"


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
        `drop_points` (of the mean over the languages, in points of percent), `megabytes`, `num_images`, and
        `cpu`, where it was measured.
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
            "cpu": cpu_name(),
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
