"""Pairs in a stream: every one once an epoch, corrupt ones stood in for, shards opened as they are needed."""

from itertools import islice

import numpy as np
import pytest
import torch
from toy_training import (
    SIDE,
    WIDTH,
    pair_rows,
    sources_of,
    tiny_student,
    write_embedded,
    write_selection,
)

from training import data, shards, views
from training.batches import BatchSource
from training.settings import Phase
from training.sources import DataSources
from training.stream import Stream, Unit

PHASE = Phase("image tower", ("image",), "pairs", {"image_feature": 1.0}, 6, 4, 5e-3)


def batches(sources: DataSources, **place) -> BatchSource:
    return BatchSource(PHASE, sources, tiny_student().tokenizer, seed=0, **place)


@pytest.mark.parametrize("world", [1, 2])
def test_the_workers_see_every_selected_pair_once_an_epoch(corpus, world):
    found = []
    for rank in range(world):
        stream = sources_of(corpus).pairs(seed=0, rank=rank, world=world)
        found += stream.rows(0, sum(unit.num_rows for unit in first_epoch(stream.stream)))
    assert sorted(row.key for row in found) == [
        row["key"] for row in corpus.rows if row["key"] != corpus.unselected
    ]


def first_epoch(stream: Stream) -> list[Unit]:
    """The units of a worker's first epoch."""
    number = len(stream.units[stream.rank :: stream.world])
    return list(islice((unit for _, units, _ in stream._windows() for unit in units), number))


@pytest.fixture
def spoiled(corpus, tmp_path):
    """The corpus with two views of each picture; two pictures are broken and the second shard breaks off."""
    folder = tmp_path / "embedded"
    (folder / "shards").mkdir(parents=True)
    for path in sorted(corpus.embedded.glob("shards/*.tar")):
        shards.write_shard(folder / "shards" / path.name, map(with_views, shards.read_shard(path)))
    last = folder / "shards" / "00001.tar"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    return DataSources(folder, corpus.selection, WIDTH, SIDE)


def with_views(sample: dict) -> dict:
    drawn = views.draw_views(sample["__key__"], views.ViewRules(num_views=2, max_jitter=0.9))
    record = {**shards.record_of(sample), "views": views.to_record(drawn)}
    plain = shards.from_bf16(sample["image.bf16"], WIDTH)
    stored = shards.to_bf16(np.concatenate([plain, 2 * plain, 4 * plain]))
    broken = {"png": b"no picture"} if sample["__key__"] in ("000000001", "000000002") else {}
    return {**sample, "json": shards.json_bytes(record), "image.bf16": stored, **broken}


def test_what_is_corrupt_is_counted_once_and_training_goes_on(corpus, spoiled):
    source = batches(spoiled)
    for step in range(30):
        assert source(step)["pixels"].shape == (4, 3, SIDE, SIDE)
    before, after = (
        list(shards.read_unbroken(folder / "shards" / "00001.tar"))
        for folder in (corpus.embedded, spoiled.embedded.folder)
    )
    # The last one before the break may lack a part.
    lost = len(before) - sum(set(one) == set(other) for one, other in zip(before, after, strict=False))
    assert 0 < lost < len(before)
    assert source.num_unreadable == 2 + lost
    assert batches(sources_of(corpus)).num_unreadable == 0


def test_others_stand_in_the_same_way_after_a_resume(spoiled):
    straight = batches(spoiled)
    expected = [straight(step) for step in range(12)]
    for step in (11, 4, 7):
        assert_same(batches(spoiled)(step), expected[step])


def assert_same(batch: dict, expected: dict) -> None:
    assert set(batch) == set(expected)
    assert all(batch[name].equal(expected[name]) for name in batch)


def test_a_batch_has_the_vector_of_the_view_it_shows(spoiled):
    stream = spoiled.pairs(seed=0)
    rows = [row for row in stream.rows(0, 8) if row.key not in ("000000001", "000000002")][:3]
    shown, images = stream.decoded(rows, [2, 0, 1], 0, 8)
    pairs = data.collate(shown, [2, 0, 1], WIDTH, images)
    batch = data.pair_batch(pairs, tiny_student().tokenizer, ("image",))
    for place, (row, view) in enumerate(zip(rows, (2, 0, 1), strict=True)):
        stored = shards.from_bf16(row.image_vectors, WIDTH)[view]
        assert np.array_equal(batch["image_vector"][place], stored)
        (pixels,) = spoiled.pictures.decode([row], [view])
        assert batch["pixels"][place].equal(pixels.float() / 127.5 - 1)


def test_no_readable_picture_at_all_is_an_error(spoiled, monkeypatch):
    monkeypatch.setattr(spoiled.pictures, "decode", lambda pairs, views: [None] * len(pairs))
    with pytest.raises(ValueError, match="could not be decoded"):
        batches(spoiled)(0)


@pytest.mark.parametrize("sizes", [(0, 0), (5 * 3 * SIDE * SIDE, 5_000)])
def test_caches_do_not_change_what_comes(corpus, sizes):
    few = dict(zip(("cache_bytes", "unit_cache_bytes"), sizes, strict=True))
    small, large = batches(sources_of(corpus, **few)), batches(sources_of(corpus))
    for step in range(12):
        assert_same(small(step), large(step))


@pytest.mark.parametrize("world", [1, 2])
def test_batches_are_the_same_after_a_resume_at_any_step(corpus, world):
    for rank in range(world):
        straight = batches(sources_of(corpus), rank=rank, world=world)
        expected = [straight(step) for step in range(14)]
        for step in range(14):
            assert_same(batches(sources_of(corpus), rank=rank, world=world)(step), expected[step])


def test_workers_draw_differently(corpus):
    first, second = (batches(sources_of(corpus), rank=rank, world=2)(0) for rank in (0, 1))
    assert not torch.equal(first["anchors"], second["anchors"])


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Twenty shards of six pairs."""
    place = tmp_path_factory.mktemp("long")
    rows = [{**row, "shard": f"{number // 6:05d}"} for number, row in enumerate(pair_rows(120))]
    write_embedded(place / "embedded", rows)
    write_selection(place / "selection", rows)
    return place


def test_shards_are_opened_as_they_are_needed_and_few_are_held(long, monkeypatch):
    opened = []
    read = shards.read_unbroken

    def watched(path, wanted):
        opened.append(path.stem)
        return read(path, wanted)

    monkeypatch.setattr(shards, "read_unbroken", watched)

    def fresh() -> BatchSource:
        folders = long / "embedded", long / "selection"
        return batches(DataSources(*folders, WIDTH, SIDE, unit_cache_bytes=0))

    source = fresh()
    held = []
    for step in range(30):
        source(step)
        held.append(len(source.pairs.at_hand(step * 4, 4)))
        # The windows in use and the one ahead, of four shards each.
        assert len(opened) <= 4 * (step * 4 // 24 + 3)
    assert max(held) <= 2 * 24
    assert sorted(opened[:20]) == [f"{number:05d}" for number in range(20)]
    opened.clear()
    fresh()(1_000)
    assert len(opened) <= 3 * 4
