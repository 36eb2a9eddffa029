"""Families of students: stock classes of transformers, and the little that differs between them.

`align` is AlignModel (arXiv 2102.05918), an EfficientNet image tower; `chinese_clip` is ChineseCLIPModel
(arXiv 2211.01335), a ViT. Both have a BERT text tower and work in the zero-shot image classification
pipeline with a tokenizer of our own, which SigLIP (no attention mask) and CLIP (causal text) do not do well.
A family's name is the class's `model_type`.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from transformers import (
    AlignConfig,
    AlignModel,
    AlignTextConfig,
    AlignVisionConfig,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    ChineseCLIPTextConfig,
    ChineseCLIPVisionConfig,
    PreTrainedModel,
)
from transformers.image_processing_backends import PilBackend
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

from training.settings import StudentShape

START_TEMPERATURE = 0.05
START_LOGIT_SCALE = -math.log(START_TEMPERATURE)
MAX_SCALE = 100.0


@dataclass(frozen=True)
class Family:
    """What differs from class to class.

    `make` builds a model with random weights from a shape, the tokenizer's size and the teacher's width.
    `image_options` are the image processor's beside size and mean. `prefixes` are those of each tower's
    parameters, `stem` those of what the image tower has before its blocks, `block` its blocks' up to their
    number. `scale_name` is the parameter that learns how sharp the contrast is, `scale_range` where it
    may lie, and `scale` gives what cosines are multiplied by.
    """

    make: Callable[[StudentShape, int, int], PreTrainedModel]
    image_processor: type[PilBackend]
    image_options: dict
    prefixes: dict[str, tuple[str, ...]]
    stem: tuple[str, ...]
    block: str
    scale_name: str
    scale_range: tuple[float, float]
    scale: Callable[[PreTrainedModel], Tensor]


def family_of(model: PreTrainedModel) -> Family:
    """The family that a model belongs to.

    Raises:
        ValueError: none; the model is no student.
    """
    name = model.config.model_type
    if name not in FAMILIES:
        raise ValueError(f"a student of the class {name!r} is unknown; there is {', '.join(FAMILIES)}")
    return FAMILIES[name]


def make_align(shape: StudentShape, vocab_size: int, width: int) -> AlignModel:
    """EfficientNet and BERT; the last stage of the image tower is as wide as the teacher.

    Raises:
        ValueError: the image tower cannot have this width.
    """
    vision = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "batch_norm_momentum": 0.1, **shape.vision}
    if width % 8:
        raise ValueError(f"the teacher's width {width} is no multiple of 8, which the image tower needs")
    if vision["width_coefficient"] != 1:
        # It would widen the last stage too.
        raise ValueError(
            "write the widths of the stages as in_channels and out_channels: width_coefficient is 1"
        )
    stages = vision.get("out_channels", AlignVisionConfig().out_channels)
    vision |= {"image_size": shape.image_size, "out_channels": [*stages[:-1], width]}
    return AlignModel(
        AlignConfig(
            text_config=text_settings(AlignTextConfig, shape, vocab_size),
            vision_config=with_floats(AlignVisionConfig, vision),
            projection_dim=width,
            temperature_init_value=START_TEMPERATURE,
        )
    )


def make_chinese_clip(shape: StudentShape, vocab_size: int, width: int) -> ChineseCLIPModel:
    """ViT and BERT, each with a linear projection to the teacher's width."""
    vision = {"hidden_act": "gelu", **shape.vision, "image_size": shape.image_size}
    return ChineseCLIPModel(
        ChineseCLIPConfig(
            text_config=text_settings(ChineseCLIPTextConfig, shape, vocab_size),
            vision_config=with_floats(ChineseCLIPVisionConfig, vision),
            projection_dim=width,
            logit_scale_init_value=START_LOGIT_SCALE,
        )
    )


def text_settings(config_class: type, shape: StudentShape, vocab_size: int) -> dict:
    """A text tower's settings, without dropout: what follows a teacher's vectors does not overfit soon."""
    settings = {
        "vocab_size": vocab_size,
        "max_position_embeddings": shape.max_tokens,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        **shape.text,
    }
    return with_floats(config_class, settings)


def with_floats(config_class: type, values: dict) -> dict:
    """Settings with whole numbers as floats where transformers insists on them (JSON knows no difference)."""
    hints = inspect.get_annotations(config_class)
    return {
        name: float(value) if hints.get(name) in (float, "float") else value for name, value in values.items()
    }


FAMILIES = {
    "align": Family(
        make=make_align,
        image_processor=EfficientNetImageProcessorPil,
        image_options={"include_top": False},
        prefixes={"image": ("vision_model.",), "text": ("text_model.", "text_projection.")},
        stem=("vision_model.embeddings.",),
        block="vision_model.encoder.blocks.",
        scale_name="temperature",
        scale_range=(1 / MAX_SCALE, 1.0),
        scale=lambda model: 1 / model.temperature,
    ),
    "chinese_clip": Family(
        make=make_chinese_clip,
        image_processor=ChineseCLIPImageProcessorPil,
        image_options={},
        prefixes={
            "image": ("vision_model.", "visual_projection."),
            "text": ("text_model.", "text_projection."),
        },
        stem=("vision_model.embeddings.", "vision_model.pre_layrnorm."),
        block="vision_model.encoder.layers.",
        scale_name="logit_scale",
        scale_range=(0.0, math.log(MAX_SCALE)),
        scale=lambda model: model.logit_scale.exp(),
    ),
}
