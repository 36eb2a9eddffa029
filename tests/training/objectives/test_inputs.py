"""Batches of pairs: grouped, mixed and with noise, all as functions of the step."""

from dataclasses import replace

import pytest
import torch
from toy_training import COLOURS, HAN, SIDE, WIDTH, tiny_student

from training import data
from training.batches import BatchSource
from training.objectives.inputs import PairInputs
from training.settings import Phase

PHASE = Phase("alignment", ("image", "text"), "pairs", {"contrastive": 1.0}, 6, 4, 5e-3)


@pytest.fixture(scope="module")
def pairs(corpus) -> data.Pairs:
    return data.read_pairs(corpus.embedded, data.read_selection(corpus.selection), SIDE, WIDTH)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_student().tokenizer


def inputs(pairs, tokenizer, **settings) -> PairInputs:
    return PairInputs(replace(PHASE, **settings), pairs, tokenizer, seed=0)


def test_without_a_technique_nothing_changes(pairs, tokenizer):
    plain = inputs(pairs, tokenizer)
    rows = plain.rows(5, 4)
    assert rows.equal(data.rows_of_step(len(pairs), 4, 5, 0))
    assert plain.complete({"image_vector": rows}, rows, 5) == {"image_vector": rows}


def colours_of(pairs, rows) -> set[int]:
    return {int(pairs.image_vectors[row, 0].argmax()) for row in rows}


def test_grouped_batches_are_of_fewer_colours(pairs, tokenizer):
    alone, grouped = (inputs(pairs, tokenizer, group_window=window) for window in (0, 5))
    counts = [
        sum(len(colours_of(pairs, each.rows(step, 4))) for step in range(5)) for each in (alone, grouped)
    ]
    assert counts[1] < counts[0]


def test_grouped_rows_depend_on_the_step_alone(pairs, tokenizer):
    first, second = (inputs(pairs, tokenizer, group_window=5) for _ in range(2))
    in_order = [first.rows(step, 4) for step in range(12)]
    assert all(second.rows(step, 4).equal(in_order[step]) for step in (11, 3, 7))
    assert len({int(row) for rows in in_order[:5] for row in rows}) == 20


@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_window_of_one_batch_is_no_window(batch_size, pairs, tokenizer):
    grouped = inputs(pairs, tokenizer, group_window=8)
    assert grouped.rows(2, batch_size).equal(data.rows_of_step(len(pairs), batch_size, 2, 0))


def test_only_captions_with_a_translation_are_mixed(pairs, tokenizer):
    rows = torch.arange(len(pairs))
    mixed = inputs(pairs, tokenizer, code_mix=1.0).mixed_captions(rows, 0)
    for lang, texts in mixed.items():
        changed = [text != pairs.captions[lang][row] for row, text in enumerate(texts)]
        assert changed == (pairs.has["zh"] * pairs.has["en"]).bool().tolist()


def test_a_share_of_captions_is_mixed_by_the_step(pairs, tokenizer):
    half, rows = inputs(pairs, tokenizer, code_mix=0.5), torch.arange(len(pairs))
    first, again, other = (half.mixed_captions(rows, step) for step in (0, 0, 1))
    changed = sum(text != pairs.captions["en"][row] for row, text in enumerate(first["en"]))
    assert 0 < changed < int((pairs.has["zh"] * pairs.has["en"]).sum())
    assert first == again != other


def test_mixed_captions_are_the_batchs_tokens(pairs, tokenizer):
    phase = replace(PHASE, code_mix=1.0)
    texts = data.Texts([], torch.zeros(0, WIDTH), 0)
    batch = BatchSource(phase, pairs, texts, tokenizer, seed=0, world=1)(0)
    shown = tokenizer.batch_decode(batch["en_tokens"]["input_ids"])
    assert any(HAN[colour] in text for colour in COLOURS for text in shown)


def test_noise_is_there_for_the_term_that_needs_it(pairs, tokenizer):
    rows = torch.tensor([0, 1, 3])
    wrong = pairs.image_vectors.clone()
    wrong[0] = wrong[0].roll(7)
    odd = replace(pairs, image_vectors=wrong)
    noise = inputs(odd, tokenizer, terms={"noise_aware_contrastive": 1.0}).complete({}, rows, 0)
    assert set(noise) == {"zh_noise", "en_noise"}
    assert noise["zh_noise"][0] > 0.9 > 0.1 > noise["zh_noise"][1]
    assert pairs.captions["zh"][3] == "" and noise["zh_noise"][2] == 0
