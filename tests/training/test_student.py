"""Students: widths, which parameters learn, and a directory that plain transformers opens."""

import re
from dataclasses import replace

import pytest
import torch
from toy_training import COLOURS, HAN, SIDE, TINY, noise, picture, tiny_student
from transformers import BertConfig, BertModel, pipeline

from training.student import (
    contrast_scale,
    image_vectors,
    learning_parameters,
    load_student,
    text_vectors,
)
from training.zero_shot import StudentEncoder

LABELS = {
    "en": list(COLOURS),
    "zh": list(HAN.values()),
    "both": ["red", "绿", "a blue picture", "黄色的图片"],
}


def pixels(rows: int = 4) -> torch.Tensor:
    return torch.rand(rows, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def vectors_of(student, tower: str) -> torch.Tensor:
    if tower == "image":
        return image_vectors(student.model, pixels())
    tokens = student.tokenizer(["a red picture", "绿"], padding=True, return_tensors="pt")
    return text_vectors(student.model, tokens["input_ids"], tokens["attention_mask"])


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("tower", ["image", "text"])
def test_vectors_are_units_of_the_teachers_width(tower, width, shape):
    vectors = vectors_of(tiny_student(width=width, shape=shape), tower).detach()
    assert vectors.shape[1] == width
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)


def test_the_shape_is_kept(student):
    assert student.model.config.text_config.vocab_size == len(student.tokenizer) <= TINY.vocab_size
    assert student.tokenizer.model_max_length == TINY.max_tokens
    assert student.image_processor.size["height"] == SIDE
    assert student.num_parameters == sum(p.numel() for p in student.model.parameters())


@pytest.mark.parametrize("tower", ["image", "text"])
def test_a_tower_learns_exactly_the_parameters_its_vectors_depend_on(student, tower):
    vectors_of(student, tower).sum().backward()
    used = {name for name, parameter in student.model.named_parameters() if parameter.grad is not None}
    learning = learning_parameters(student.model, (tower,))
    assert set(learning) == used
    assert not any("pooler" in name for name in learning)


def test_frozen_blocks_and_what_stands_before_them_do_not_learn(student):
    towers = ("image", "text")
    frozen = set(learning_parameters(student.model, towers)) - set(
        learning_parameters(student.model, towers, frozen_blocks=1)
    )
    places = {re.match(r"vision_model\.((encoder\.\w+\.\d+|\w+)\.)", name)[1] for name in frozen}
    first = {"align": {"embeddings.", "encoder.blocks.0."}}
    vit = {"embeddings.", "pre_layrnorm.", "encoder.layers.0."}
    assert places == first.get(student.model.config.model_type, vit)


def test_the_temperature_learns_with_both_towers_only(student):
    image, text, both = (
        set(learning_parameters(student.model, towers))
        for towers in (("image",), ("text",), ("image", "text"))
    )
    assert image.isdisjoint(text)
    (temperature,) = both - image - text
    before = contrast_scale(student.model)
    (gradient,) = torch.autograd.grad(before, student.model.get_parameter(temperature))
    assert before.item() == pytest.approx(20, rel=1e-4)
    assert gradient.abs() > 0


def test_padding_does_not_change_a_text(student):
    student.model.eval()
    encoder = StudentEncoder(student)
    alone, beside = (encoder.embed_texts(texts)[0] for texts in (["红"], ["红", "a red picture 0123"]))
    assert alone == pytest.approx(beside, abs=1e-6)


def test_saved_and_loaded_is_the_same(student, tmp_path):
    vectors_of(student, "image")
    student.save(tmp_path)
    loaded = load_student(tmp_path)
    state = loaded.model.state_dict()
    assert all(state[name].equal(tensor) for name, tensor in student.model.state_dict().items())
    ours, theirs = StudentEncoder(student), StudentEncoder(loaded)
    # Not to the last bit: how memory is aligned decides the order of additions.
    for embed, given in (("embed_images", [noise(0)]), ("embed_texts", ["红色", "a red picture"])):
        assert getattr(ours, embed)(given) == pytest.approx(getattr(theirs, embed)(given), abs=1e-6)


@pytest.fixture(scope="module")
def classify(student_folder):
    return pipeline("zero-shot-image-classification", model=str(student_folder))


@pytest.mark.parametrize("lang", LABELS)
def test_the_directory_works_in_plain_transformers(student_folder, classify, lang):
    labels, images = LABELS[lang], [noise(0), picture("red")]
    answers = classify(images, candidate_labels=labels, hypothesis_template="{}")
    student = load_student(student_folder)
    encoder = StudentEncoder(student)
    cosines = torch.from_numpy(encoder.embed_images(images) @ encoder.embed_texts(labels).T)
    expected = (cosines * contrast_scale(student.model).detach()).softmax(dim=1)
    for answer, row in zip(answers, expected, strict=True):
        found = {item["label"]: item["score"] for item in answer}
        assert [found[label] for label in labels] == pytest.approx(row.tolist(), abs=1e-4)


def test_a_family_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(
        ValueError, match="unknown family of students 'mobilenet'; there is align, chinese_clip"
    ):
        tiny_student(shape=replace(TINY, family="mobilenet"))


@pytest.mark.parametrize(
    "vision, width, message",
    [({}, 20, "width 20 is no multiple of 8"), ({"width_coefficient": 1.1}, 16, "width_coefficient is 1")],
)
def test_an_image_tower_that_would_miss_the_teachers_width_is_refused(vision, width, message):
    with pytest.raises(ValueError, match=message):
        tiny_student(shape=replace(TINY, vision={**TINY.vision, **vision}), width=width)


def test_a_directory_of_another_class_is_no_student(tmp_path):
    BertModel(BertConfig(vocab_size=8, num_hidden_layers=0)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a student of the class 'bert' is unknown"):
        load_student(tmp_path)
