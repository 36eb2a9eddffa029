"""Batches of texts: the share of captions, like lengths, functions of the step alone."""

from itertools import chain

import numpy as np
import pytest
from toy_training import sources_of

from training.text_stream import TextStream


@pytest.fixture
def stream(corpus):
    def make(share: float = 0.5, seed: int = 0, **place) -> TextStream:
        return sources_of(corpus).texts(share, seed, **place)

    return make


def texts(stream: TextStream, step: int, batch_size: int = 6) -> list[str]:
    return [row.text for row in stream.rows(step, batch_size)]


def test_a_step_is_the_same_from_wherever_one_starts(stream):
    first = stream()
    in_order = [texts(first, step) for step in range(40)]
    for step in (0, 9, 33, 5):
        assert texts(stream(), step) == texts(first, step) == in_order[step]


def test_seed_and_rank_change_the_texts(stream):
    steps = [texts(stream(seed=seed, rank=rank, world=2), 9) for seed in (0, 1) for rank in (0, 1)]
    assert len(set(map(tuple, steps))) == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_texts_have_their_share_of_captions(stream, share):
    source = stream(share)
    found = [text for step in range(16) for text in texts(source, step, 10)]
    assert sum("picture" in text or "图片" in text for text in found) == share * len(found)


@pytest.mark.parametrize("missing", ["captions", "others"])
def test_where_one_kind_is_missing_all_are_of_the_other(stream, missing):
    both = stream()
    streams = {"captions": both.captions, "others": both.others, missing: None}
    one = TextStream(**streams, caption_share=0.5, seed=0)
    captions = ["picture" in text or "图片" in text for text in texts(one, 0)]
    assert captions == [missing == "others"] * 6


def test_no_text_at_all_is_said():
    with pytest.raises(ValueError, match="no texts"):
        TextStream(None, None, 0.5, 0)


def test_texts_of_a_step_are_of_like_length(stream):
    def spread(found):
        lengths = [len(text.encode()) for text in found]
        return max(lengths) - min(lengths)

    source = stream()
    steps = [texts(source, step, 8) for step in range(16)]
    assert np.mean([spread(found) for found in steps]) < spread(list(chain(*steps))) / 2
