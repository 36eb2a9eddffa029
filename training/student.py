"""Students: stock transformers models, so that a user needs no code of ours to load one.

A student is of one of the families of training/families.py; nothing here asks which.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerFast
from transformers.image_processing_backends import PilBackend

from training.families import FAMILIES, family_of
from training.settings import StudentShape

TOWERS = ("image", "text")


@dataclass(frozen=True)
class Student:
    """A model with what turns text and images into its input."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    image_processor: PilBackend

    @property
    def num_parameters(self) -> int:
        """All of them, embedding tables included."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, folder: Path) -> None:
        """Write a directory that `pipeline("zero-shot-image-classification")` loads."""
        for part in (self.model, self.tokenizer, self.image_processor):
            part.save_pretrained(folder)


def build_student(shape: StudentShape, tokenizer: PreTrainedTokenizerFast, width: int) -> Student:
    """A student with random weights whose vectors have the teacher's width.

    Raises:
        ValueError: no such family, or the family has no tower of this width.
    """
    if shape.family not in FAMILIES:
        raise ValueError(f"unknown family of students {shape.family!r}; there is {', '.join(FAMILIES)}")
    model = FAMILIES[shape.family].make(shape, len(tokenizer), width)
    return Student(model, tokenizer, make_image_processor(shape.family, shape.image_size))


def make_image_processor(family: str, side: int) -> PilBackend:
    """Resize to a square of `side` pixels (bicubic, no crop), then pixels to [-1, 1]."""
    chosen = FAMILIES[family]
    return chosen.image_processor(
        size={"height": side, "width": side},
        do_center_crop=False,
        rescale_factor=1 / 255,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        **chosen.image_options,
    )


def load_student(folder: Path) -> Student:
    """A student from its directory (safetensors only).

    Raises:
        ValueError: the model there is of no family of students, or lacks some of its weights.
    """
    model, about = AutoModel.from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, trust_remote_code=False
    )
    # transformers would go on with random numbers in their place.
    if missing := sorted(about["missing_keys"]):
        raise ValueError(f"{folder} lacks {len(missing)} weights of its model, {missing[0]} among them")
    processor = family_of(model).image_processor.from_pretrained(folder)
    return Student(model, PreTrainedTokenizerFast.from_pretrained(folder), processor)


def difference(student: Student, shape: StudentShape, width: int) -> str:
    """What a student has that one of this shape would not have, for people; empty where they are alike.

    Compared are class, the shapes of all weights, and the image's side; the vocabulary is the student's own.
    """
    if student.model.config.model_type != shape.family:
        return f"it is of the family {student.model.config.model_type}, not {shape.family}"
    if (side := student.image_processor.size["height"]) != shape.image_size:
        return f"its images are {side} pixels wide, not {shape.image_size}"
    has = {name: tuple(weight.shape) for name, weight in student.model.state_dict().items()}
    fresh = build_student(shape, student.tokenizer, width).model.state_dict()
    wanted = {name: tuple(weight.shape) for name, weight in fresh.items()}
    other = [name for name in sorted(has | wanted) if has.get(name) != wanted.get(name)]
    return f"its {other[0]} is {has.get(other[0])}, not {wanted.get(other[0])}" if other else ""


def image_vectors(model: PreTrainedModel, pixels: Tensor) -> Tensor:
    """Unit vectors (batch, width) of pixels (batch, 3, side, side) in [-1, 1]."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=1)


def text_vectors(model: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Unit vectors (batch, width) of tokens (batch, length)."""
    features = model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
    return torch.nn.functional.normalize(features.pooler_output, dim=1)


def contrast_scale(model: PreTrainedModel) -> Tensor:
    """What cosines are multiplied by to be logits; one over the temperature."""
    return family_of(model).scale(model)


def scale_parameter(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """The parameter that learns the scale, by its name."""
    name = family_of(model).scale_name
    return {name: model.get_parameter(name)}


@torch.no_grad()
def keep_scale_in_range(model: PreTrainedModel) -> None:
    """Clamp the learned scale between 1 and 100 in place, as CLIP does.

    Clamped where it is used instead, it would get no gradient once outside and never come back.
    """
    (parameter,) = scale_parameter(model).values()
    parameter.clamp_(*family_of(model).scale_range)


def learning_parameters(
    model: PreTrainedModel, towers: tuple[str, ...], frozen_blocks: int = 0
) -> dict[str, torch.nn.Parameter]:
    """The parameters that should learn when these towers do; the temperature learns with both.

    Of `frozen_blocks` first blocks of the image tower, and of what stands before them, none does.
    """
    family = family_of(model)
    frozen = tuple(f"{family.block}{number}." for number in range(frozen_blocks))
    frozen += family.stem if frozen_blocks else ()
    chosen = tuple(prefix for tower in towers for prefix in family.prefixes[tower])
    if set(towers) == set(TOWERS):
        chosen += (family.scale_name,)
    # BERT's pooler has no part in the text vector, which is a projection of the first token.
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(chosen) and not name.startswith(("text_model.pooler.", *frozen))
    }
