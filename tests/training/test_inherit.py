"""What a student inherits: layers of a real pretrained network, and tokens with the teacher's meaning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_training import TEXTS, TINY, TINY_VIT, WIDTH, ToyTeacher, noise

from training.inherit import inherit_image_tower, inherit_token_embeddings
from training.lit import load_efficientnet
from training.student import Student, build_student
from training.tokenizer import train_tokenizer
from training.zero_shot import StudentEncoder

NETWORK = "efficientnet-lite0"
# The stem and the first three blocks of EfficientNet-Lite0, and a block of our own.
LITE = {
    **TINY.vision,
    "hidden_act": "relu6",
    "in_channels": [32, 16, 24],
    "out_channels": [16, 24, WIDTH],
    "kernel_sizes": [3, 3, 3],
    "strides": [1, 2, 1],
    "num_block_repeats": [1, 2, 1],
    "expand_ratios": [1, 6, 6],
    "squeeze_expansion_ratio": 0.01,
}
NARROW = {**TINY.text, "hidden_size": WIDTH, "intermediate_size": 16}
WORDS = ["red", "green", "blue", "yellow", "black", "white", "红", "绿", "蓝", "黄", "黑", "白"]


@pytest.fixture
def heir() -> Student:
    torch.manual_seed(0)
    tokenizer = train_tokenizer([*WORDS * 3, *TEXTS], TINY.vocab_size, TINY.max_tokens)
    return build_student(replace(TINY, vision=LITE, text=NARROW), tokenizer, WIDTH)


def known(texts: list[str]) -> list[tuple[list[str], np.ndarray]]:
    """In two parts."""
    half = len(texts) // 2
    return [(part, ToyTeacher().embed_texts(part)) for part in (texts[:half], texts[half:]) if part]


def test_the_blocks_that_fit_are_inherited(heir):
    assert inherit_image_tower(heir, NETWORK) == 3


@torch.inference_mode()
def test_inherited_layers_compute_what_the_network_computes(heir):
    inherit_image_tower(heir, NETWORK)
    network, tower = load_efficientnet(NETWORK), heir.model.vision_model.eval()
    pixels = heir.image_processor([noise(0, (4, 4))], return_tensors="pt")["pixel_values"]
    theirs = torch.nn.functional.relu6(network._bn0(network._conv_stem(pixels)))
    for block in network._blocks[:3]:
        theirs = block(theirs)
    ours = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[3]
    assert ours.shape == theirs.shape
    assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.99


def test_known_words_start_apart_as_their_meanings_are(heir):
    assert inherit_token_embeddings(heir, known(WORDS)) >= len(WORDS)
    vectors, taught = StudentEncoder(heir).embed_texts(WORDS), ToyTeacher().embed_texts(WORDS)
    assert (vectors @ taught[:6].T).argmax(axis=1).tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert (vectors * taught).sum(axis=1).min() > 0.8


def test_a_text_starts_as_the_mean_of_its_words(heir):
    inherit_token_embeddings(heir, known(WORDS))
    encoder = StudentEncoder(heir)
    words = encoder.embed_texts(["red", "green", "黑"])
    texts = encoder.embed_texts(["red green", "黑 green red"])
    for text, mean in zip(texts, [words[:2].mean(axis=0), words.mean(axis=0)], strict=True):
        assert text @ mean > 0.9 * np.linalg.norm(mean)


def test_a_vit_students_tokens_start_from_the_teacher_too():
    torch.manual_seed(0)
    tokenizer = train_tokenizer([*WORDS * 3, *TEXTS], TINY_VIT.vocab_size, TINY_VIT.max_tokens)
    student = build_student(replace(TINY_VIT, text=NARROW), tokenizer, WIDTH)
    assert inherit_token_embeddings(student, known(WORDS)) >= len(WORDS)
    vectors = StudentEncoder(student).embed_texts(WORDS)
    meanings = vectors @ ToyTeacher().embed_texts(WORDS[:6]).T
    assert meanings.argmax(axis=1).tolist() == [0, 1, 2, 3, 4, 5] * 2


def test_without_texts_nothing_is_changed(heir):
    before = {name: value.clone() for name, value in heir.model.state_dict().items()}
    assert inherit_token_embeddings(heir, []) == 0
    assert all(torch.equal(before[name], value) for name, value in heir.model.state_dict().items())


def test_texts_that_all_mean_the_same_do_no_harm(heir):
    assert inherit_token_embeddings(heir, known(["a sentence of several words"])) > 0
    assert np.isfinite(StudentEncoder(heir).embed_texts(["red"])).all()
