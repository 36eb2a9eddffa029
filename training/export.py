"""Export: each tower of a student as ONNX, checked against torch on real inputs.

`image.onnx` takes `pixel_values` (n, 3, side, side), `text.onnx` takes `input_ids` and `attention_mask`
(n, length); both give `vectors` (n, width) of unit length. The student's directory has what makes these
inputs: the image processor's settings and the tokenizer.
"""

from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn

from training import zero_shot
from training.student import Student, image_vectors, text_vectors

IMAGE, TEXT = "image.onnx", "text.onnx"


class _ImageTower(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return image_vectors(self.model, pixel_values)


class _TextTower(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return text_vectors(self.model, input_ids, attention_mask)


def export_towers(student: Student, folder: Path) -> None:
    """Write `image.onnx` and `text.onnx`, batch and text length free."""
    model = student.model.eval()
    side = student.image_processor.size["height"]
    _export(
        _ImageTower(model),
        (torch.zeros(2, 3, side, side),),
        folder / IMAGE,
        {"pixel_values": {0: "n"}},
    )
    tokens = student.tokenizer(["a lemon", "柠檬"], padding=True, return_tensors="pt")
    axes = {0: "n", 1: "length"}
    _export(
        _TextTower(model),
        (tokens["input_ids"], tokens["attention_mask"]),
        folder / TEXT,
        {"input_ids": axes, "attention_mask": axes},
    )


def _export(tower: nn.Module, inputs: tuple, path: Path, axes: dict) -> None:
    torch.onnx.export(
        tower.eval(),
        inputs,
        path,
        dynamo=False,
        input_names=list(axes),
        output_names=["vectors"],
        dynamic_axes={**axes, "vectors": {0: "n"}},
    )


class OnnxEncoder:
    """The exported pair as the two functions of `training.teacher.Teacher`."""

    def __init__(self, folder: Path, student: Student):
        import onnxruntime

        self.image = onnxruntime.InferenceSession(folder / IMAGE)
        self.text = onnxruntime.InferenceSession(folder / TEXT)
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


def compare_on_exam(folder: Path, student: Student, exam_folder: Path) -> dict[str, float]:
    """The largest 1 - cosine between the ONNX pair and torch, over an exam's images and class names."""
    exam = zero_shot.read_exam(exam_folder)
    names = exam.names["en"] + exam.names["zh"]
    torch_pair, onnx_pair = zero_shot.StudentEncoder(student), OnnxEncoder(folder, student)
    gaps = {}
    for tower, inputs in (("embed_images", exam.images), ("embed_texts", names)):
        ours, theirs = (
            zero_shot.in_batches(getattr(pair, tower), inputs).astype(np.float64)
            for pair in (torch_pair, onnx_pair)
        )
        cosine = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        gaps[tower.removeprefix("embed_")] = float(1 - cosine.min())
    return gaps
