"""Batches of pairs: grouped, mixed and with noise, all as functions of the step."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from toy_training import COLOURS, HAN, all_pairs, sources_of, tiny_student

from training.batches import BatchSource
from training.embedded import Pair
from training.objectives.inputs import PairInputs
from training.settings import Phase
from training.shards import from_bf16
from training.sources import DataSources

PHASE = Phase("alignment", ("image", "text"), "pairs", {"contrastive": 1.0}, 6, 4, 5e-3)


@pytest.fixture(scope="module")
def sources(corpus) -> DataSources:
    return sources_of(corpus)


@pytest.fixture(scope="module")
def pairs(sources) -> list[Pair]:
    return all_pairs(sources)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_student().tokenizer


def inputs(sources, tokenizer, **settings) -> PairInputs:
    phase = replace(PHASE, **settings)
    return PairInputs(phase, sources.pairs(seed=0), sources.embedded, tokenizer, seed=0)


def keys(rows: list[Pair]) -> list[str]:
    return [row.key for row in rows]


def test_without_a_technique_rows_come_as_they_stream(sources, tokenizer):
    plain = inputs(sources, tokenizer)
    rows = plain.rows(5, 4)
    assert rows == sources.pairs(seed=0).rows(20, 4)
    assert plain.complete({"image_vector": rows}, rows, 5) == {"image_vector": rows}


def colours_of(rows: list[Pair]) -> set[int]:
    return {int(np.argmax(from_bf16(row.image_vectors, 16)[0])) for row in rows}


def test_grouped_batches_are_of_fewer_colours(sources, tokenizer):
    alone, grouped = (inputs(sources, tokenizer, group_window=window) for window in (0, 5))
    counts = [sum(len(colours_of(each.rows(step, 4))) for step in range(5)) for each in (alone, grouped)]
    assert counts[1] < counts[0]


def test_grouped_rows_depend_on_the_step_alone(sources, tokenizer):
    first, second = (inputs(sources, tokenizer, group_window=5) for _ in range(2))
    in_order = [first.rows(step, 4) for step in range(12)]
    assert all(second.rows(step, 4) == in_order[step] for step in (11, 3, 7))


@pytest.mark.parametrize("window", range(4))
def test_no_pair_is_in_a_window_twice_also_where_epochs_meet(window, sources, tokenizer):
    grouped = inputs(sources, tokenizer, group_window=5)
    rows = chain(*(grouped.rows(5 * window + place, 4) for place in range(5)))
    assert len(set(keys(rows))) == 20


@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_window_of_one_batch_is_no_window(batch_size, sources, tokenizer):
    grouped, plain = (inputs(sources, tokenizer, group_window=window) for window in (8, 0))
    assert grouped.rows(2, batch_size) == plain.rows(2, batch_size)


def test_only_captions_with_a_translation_are_mixed(sources, pairs, tokenizer):
    mixed = inputs(sources, tokenizer, code_mix=1.0).mixed_captions(pairs, 0)
    for lang, texts in mixed.items():
        changed = [text != row.captions.get(lang, "") for text, row in zip(texts, pairs, strict=True)]
        assert changed == [len(row.captions) == 2 for row in pairs]


def test_a_share_of_captions_is_mixed_by_the_step(sources, pairs, tokenizer):
    half = inputs(sources, tokenizer, code_mix=0.5)
    first, again, other = (half.mixed_captions(pairs, step) for step in (0, 0, 1))
    changed = sum(text != row.captions.get("en", "") for text, row in zip(first["en"], pairs, strict=True))
    assert 0 < changed < sum(len(row.captions) == 2 for row in pairs)
    assert first == again != other


def test_mixed_captions_are_the_batchs_tokens(sources, tokenizer):
    batch = BatchSource(replace(PHASE, code_mix=1.0), sources, tokenizer, seed=0)(0)
    shown = tokenizer.batch_decode(batch["en_tokens"]["input_ids"])
    assert any(HAN[colour] in text for colour in COLOURS for text in shown)


def test_noise_is_there_for_the_term_that_needs_it(sources, pairs, tokenizer):
    by_score = sorted((row for row in pairs if "zh" in row.scores), key=lambda row: row.scores["zh"])
    rows = [by_score[-1], by_score[0], pairs[3]]
    usual = inputs(sources, tokenizer, terms={"noise_aware_contrastive": 1.0})
    noise = usual.complete({}, rows, 0)
    assert set(noise) == {"zh_noise", "en_noise"}
    assert noise["zh_noise"][1] > 0.5 > 0.1 > noise["zh_noise"][0]
    assert "zh" not in rows[2].captions and noise["zh_noise"][2] == 0
