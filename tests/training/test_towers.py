"""The towers as a module: what they do with captions that are not there."""

import pytest
import torch
from toy_training import tiny_student

from training import data
from training.towers import Towers


@pytest.fixture(scope="module")
def student():
    found = tiny_student()
    found.model.eval()
    return found


@pytest.mark.parametrize("captions", [["red", "", "blue"], ["", ""], ["red", "blue"]])
def test_a_caption_that_is_not_there_has_a_vector_of_zeros(student, captions):
    tokens = data.caption_tokens(student.tokenizer, captions)
    plain = {name: item for name, item in tokens.items() if name != "there"}
    towers = Towers(student.model)
    given, expected = (towers({"zh_tokens": item})["zh"] for item in (tokens, plain))
    there = torch.tensor([bool(text) for text in captions])
    assert torch.allclose(given[there], expected[there], atol=1e-6)
    assert given[~there].abs().sum() == 0
    assert given.shape == expected.shape


def test_the_text_tower_reads_only_captions_that_are_there(student, monkeypatch):
    read = []
    plain = student.model.get_text_features
    monkeypatch.setattr(
        student.model,
        "get_text_features",
        lambda input_ids, **rest: read.append(len(input_ids)) or plain(input_ids, **rest),
    )
    captions = {"zh": ["", "", ""], "en": ["red", "", "blue"]}
    batch = {f"{lang}_tokens": data.caption_tokens(student.tokenizer, captions[lang]) for lang in captions}
    Towers(student.model)(batch)
    assert read == [2]
