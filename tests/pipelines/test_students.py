"""The named students: small enough, choosable by one word, and every one learns and loads as any other."""

import pytest
import torch
from PIL import Image
from transformers import pipeline

from components.step import StepError
from pipelines.resolve import choose_recipe
from pipelines.students import STUDENTS
from training.inherit import inherit_image_tower
from training.student import build_student, image_vectors
from training.student_cost import student_cost
from training.tokenizer import train_tokenizer

TEXTS = ["a red picture", "红色的图片", "a lemon", "柠檬"]


def test_there_are_three_sizes_of_each_family():
    sizes = {name.removesuffix("_vit") for name in STUDENTS}
    assert sizes == {"nano", "tiny", "small"}
    assert {name: shape.family for name, shape in STUDENTS.items()} == {
        **{size: "align" for size in sizes},
        **{f"{size}_vit": "chinese_clip" for size in sizes},
    }


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_has_at_most_60_million_parameters(name):
    """With its whole vocabulary, after AltCLIP, whose vectors have 768 numbers."""
    assert student_cost(STUDENTS[name], 768)["all"] <= 60e6


@pytest.mark.parametrize("name", STUDENTS)
def test_one_word_chooses_a_student(name):
    chosen = choose_recipe("full", {"distill_student.student": name}).distill_student.student
    assert chosen == STUDENTS[name]


def test_parts_are_replaced_in_the_chosen_student_whatever_the_order():
    overrides = {"distill_student.student.image_size": "96", "distill_student.student": "tiny"}
    shape = choose_recipe("full", overrides).distill_student.student
    assert (shape.image_size, shape.vocab_size) == (96, STUDENTS["tiny"].vocab_size)


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"distill_student.student": "huge"}, "'huge' is not known; choose one of nano, tiny, small"),
        ({"distill_student.student": 3}, "should be of the type of"),
        (
            {"distill_student.student.family": "chinese_clip"},
            "only the family align inherits efficientnet-lite0, not chinese_clip",
        ),
    ],
)
def test_what_is_no_student_is_refused(overrides, message):
    with pytest.raises(StepError, match=message):
        choose_recipe("demo", overrides)


@pytest.mark.parametrize("name", [name for name, shape in STUDENTS.items() if shape.inherit_image])
def test_all_blocks_but_the_last_are_inherited(name):
    shape = STUDENTS[name]
    student = build_student(shape, train_tokenizer(TEXTS, 100, 16), 64)
    blocks = len(student.model.vision_model.encoder.blocks)
    assert inherit_image_tower(student, shape.inherit_image) == blocks - 1


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_that_has_seen_images_answers_in_the_zero_shot_pipeline(name, tmp_path):
    torch.manual_seed(0)
    shape = STUDENTS[name]
    student = build_student(shape, train_tokenizer(TEXTS, 100, shape.max_tokens), 64)
    student.model.train()
    for _ in range(2):
        image_vectors(student.model, torch.rand(2, 3, shape.image_size, shape.image_size) * 2 - 1)
    student.save(tmp_path)
    classify = pipeline("zero-shot-image-classification", model=str(tmp_path))
    picture = torch.randint(0, 256, (50, 40, 3), dtype=torch.uint8).numpy()
    answers = classify(Image.fromarray(picture), candidate_labels=["柠檬", "lemon"], hypothesis_template="{}")
    scores = [answer["score"] for answer in answers]
    assert sum(scores) == pytest.approx(1)
    assert all(0 <= score <= 1 for score in scores)
