"""Both families learn: every parameter that should, and no other, and contrast falls."""

import pytest
import torch
from toy_training import SIDE, tiny_student
from transformers import BertConfig, BertModel

from training.families import family_of
from training.student import (
    contrast_scale,
    image_vectors,
    keep_scale_in_range,
    learning_parameters,
    text_vectors,
)

TEXTS = ["a red picture", "绿色的图片", "blue", "黄"]


def contrast(student) -> torch.Tensor:
    """InfoNCE of four pictures and texts."""
    pixels = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    tokens = student.tokenizer(TEXTS, padding=True, return_tensors="pt")
    images = image_vectors(student.model, pixels)
    texts = text_vectors(student.model, tokens["input_ids"], tokens["attention_mask"])
    logits = contrast_scale(student.model) * images @ texts.T
    return torch.nn.functional.cross_entropy(logits, torch.arange(4))


def test_contrast_falls_and_moves_what_should_learn_alone(shape):
    student = tiny_student(shape=shape)
    model = student.model.train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    learning = learning_parameters(model, ("image", "text"))
    optimizer = torch.optim.Adam(learning.values(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = contrast(student)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    moved = {name for name, parameter in model.named_parameters() if not parameter.equal(before[name])}
    assert moved == set(learning)


@pytest.mark.parametrize("value, expected", [(-1e3, 1.0), (1e3, 100.0)])
def test_the_scale_is_kept_in_range(shape, value, expected):
    model = tiny_student(shape=shape).model
    name = family_of(model).scale_name
    # A temperature is the other way round: small is sharp.
    extreme = -value if name == "temperature" else value
    model.get_parameter(name).data.fill_(extreme)
    keep_scale_in_range(model)
    assert contrast_scale(model).item() == pytest.approx(expected)


def test_a_class_of_no_family_is_refused():
    model = BertModel(BertConfig(vocab_size=8, num_hidden_layers=0))
    with pytest.raises(ValueError, match="'bert' is unknown; there is align, chinese_clip"):
        family_of(model)
