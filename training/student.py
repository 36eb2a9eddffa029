"""Students: stock transformers models, so that a user needs no code of ours to load one.

The family here is AlignModel (arXiv 2102.05918): an EfficientNet image tower and a BERT text tower. Its
image embedding is the pooled output of the tower's last stage, so that stage is as wide as the teacher.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AlignConfig, AlignModel, AlignTextConfig, AlignVisionConfig, PreTrainedTokenizerFast
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

from training.settings import StudentShape

TOWERS = ("image", "text")


@dataclass(frozen=True)
class Student:
    """A model with what turns text and images into its input."""

    model: AlignModel
    tokenizer: PreTrainedTokenizerFast
    image_processor: EfficientNetImageProcessorPil

    @property
    def num_parameters(self) -> int:
        """All of them, embedding tables included."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, folder: Path) -> None:
        """Write a directory that `pipeline("zero-shot-image-classification")` loads."""
        for part in (self.model, self.tokenizer, self.image_processor):
            part.save_pretrained(folder)


def build_student(shape: StudentShape, tokenizer: PreTrainedTokenizerFast, width: int) -> Student:
    """A student with random weights whose vectors have the teacher's width."""
    if width % 8:
        raise ValueError(f"the teacher's width {width} is no multiple of 8, which the image tower needs")
    vision = _with_floats(AlignVisionConfig, shape.vision)
    stages = AlignVisionConfig(**vision).out_channels
    config = AlignConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": shape.max_tokens,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            **_with_floats(AlignTextConfig, shape.text),
        },
        vision_config={
            "width_coefficient": 1.0,
            "image_size": shape.image_size,
            "batch_norm_momentum": 0.1,
            **vision,
            "out_channels": [*stages[:-1], width],
        },
        projection_dim=width,
        temperature_init_value=0.05,
    )
    return Student(AlignModel(config), tokenizer, make_image_processor(shape.image_size))


def _with_floats(config_class: type, values: dict) -> dict:
    """Settings with whole numbers as floats where transformers insists on them (JSON knows no difference)."""
    hints = inspect.get_annotations(config_class)
    return {
        name: float(value) if hints.get(name) in (float, "float") else value for name, value in values.items()
    }


def make_image_processor(side: int) -> EfficientNetImageProcessorPil:
    """Resize to a square, then pixels to [-1, 1]."""
    return EfficientNetImageProcessorPil(
        size={"height": side, "width": side},
        do_center_crop=False,
        rescale_factor=1 / 255,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        include_top=False,
    )


def load_student(folder: Path) -> Student:
    """A student from its directory (safetensors only)."""
    return Student(
        AlignModel.from_pretrained(folder, use_safetensors=True),
        PreTrainedTokenizerFast.from_pretrained(folder),
        EfficientNetImageProcessorPil.from_pretrained(folder),
    )


def image_vectors(model: AlignModel, pixels: Tensor) -> Tensor:
    """Unit vectors (batch, width) of pixels (batch, 3, side, side) in [-1, 1]."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=1)


def text_vectors(model: AlignModel, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Unit vectors (batch, width) of tokens (batch, length)."""
    features = model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
    return torch.nn.functional.normalize(features.pooler_output, dim=1)


def learning_parameters(model: AlignModel, towers: tuple[str, ...]) -> dict[str, torch.nn.Parameter]:
    """The parameters that should learn when these towers do; the temperature learns with both."""
    prefixes = {"image": ("vision_model.",), "text": ("text_model.", "text_projection.")}
    chosen = tuple(prefix for tower in towers for prefix in prefixes[tower])
    if set(towers) == set(TOWERS):
        chosen += ("temperature",)
    # BERT's pooler has no part in the text vector, which is a projection of the first token.
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(chosen) and not name.startswith("text_model.pooler.")
    }
