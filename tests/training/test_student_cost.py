"""A student's costs against what can be worked out by hand."""

from dataclasses import replace

import pytest
from toy_training import TEXTS, TINY, WIDTH, tiny_student

from training.student_cost import caption_lengths, cost_table, student_cost

ONE_LAYER = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def test_parameters_are_those_of_the_student_but_for_what_never_learns(shape):
    full = replace(shape, vocab_size=len(tiny_student(shape=shape).tokenizer))
    cost, model = student_cost(full, WIDTH), tiny_student(shape=shape).model
    assert cost["all"] == sum(item.numel() for item in model.parameters())
    assert cost["table"] == full.vocab_size * 32
    # The temperature is in neither tower, and AlignModel has BERT's pooler, which nothing reads.
    pooler = sum(item.numel() for name, item in model.named_parameters() if ".pooler." in name)
    assert cost["image"] + cost["text"] + pooler + 1 == cost["all"]
    assert cost["megabytes"] == pytest.approx(cost["all"] * 4 / 2**20)


def test_floating_point_operations_of_a_text_are_those_of_its_matrix_products(shape):
    tokens, width = shape.max_tokens, 32
    projections = 4 * tokens * width * width + 2 * tokens * width * 64
    attention = 2 * tokens * tokens * width
    expected = 2 * (projections + attention + width * WIDTH)
    if shape.family == "align":  # computes BERT's pooler, which nothing reads
        expected += 2 * width * width
    assert student_cost(replace(shape, text=ONE_LAYER), WIDTH)["text_flops"] == expected


def test_operations_of_an_image_grow_with_its_area():
    small, large = (student_cost(replace(TINY, image_size=side), WIDTH)["image_flops"] for side in (64, 128))
    assert 3.5 < large / small <= 4


def test_captions_are_counted_in_both_languages():
    lengths = caption_lengths(TEXTS * 3, ["红色", "a red picture", "red"], TINY)
    assert lengths["zh"] >= 3
    assert lengths["en"] == 4  # (3 + 2 + 1 + 2) / 2


def test_the_table_has_a_row_a_student():
    lines = cost_table({"one": TINY, "other": TINY}, WIDTH, TEXTS, TEXTS).splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["| student", "| ---", "| one", "| other"]
    assert len({line.count("|") for line in lines}) == 1
