"""Export: each tower of a student as ONNX, and what an application must know to feed it.

`image.onnx` takes `pixel_values` (n, 3, side, side), `text.onnx` takes `input_ids` and `attention_mask`
(n, length); both give `vectors` (n, width) of unit length. `onnx.json` says how a picture becomes pixels and
cosines become probabilities; the student's `tokenizer.json` makes tokens, cut and padded.
"""

import shutil
from pathlib import Path

import torch
from torch import Tensor, nn

from infra.store import write_json
from training.example_code import self_contained
from training.job import STUDENT
from training.student import Student, contrast_scale, image_vectors, text_vectors

IMAGE, TEXT = "image.onnx", "text.onnx"
SETTINGS = "onnx.json"
EXAMPLE = Path(__file__).with_name("try_onnx.py")


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


def write_companions(student: Student, source: Path, folder: Path) -> None:
    """Put beside the towers what they need: the student's directory, `onnx.json` and an example.

    Args:
        source: the student's directory.
    """
    shutil.copytree(source, folder / STUDENT, dirs_exist_ok=True)
    (folder / EXAMPLE.name).write_text(self_contained(EXAMPLE))
    processor = student.image_processor
    settings = {
        "image_size": processor.size["height"],
        "resample": "bicubic",
        "mean": list(processor.image_mean),
        "std": list(processor.image_std),
        "max_tokens": student.tokenizer.model_max_length,
        "scale": float(contrast_scale(student.model).detach()),
    }
    write_json(folder / SETTINGS, settings)
