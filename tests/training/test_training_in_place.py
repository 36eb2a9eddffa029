"""Training data in object storage: the same rows as in a folder, read where they lie, each byte once."""

import itertools

import pytest
from toy_training import SIDE, WIDTH, all_pairs, sources_of

from infra.scratch import scratch_root
from tests.stored import store
from training.sources import DataSources
from training.stream import Unit


@pytest.fixture
def stored(corpus, bucket, counted) -> DataSources:
    """The corpus in a bucket, as a worker opens it."""
    embedded = store(corpus.embedded, f"{bucket}/store/embed_pairs/1", counted.endpoint)
    selection = store(corpus.selection, f"{bucket}/store/select_pairs/1", counted.endpoint)
    counted.forget()
    return DataSources(embedded, selection, WIDTH, SIDE)


def texts_of(sources: DataSources) -> list:
    counts = sources.embedded.num_texts()
    return [row for name, number in counts.items() for row in sources.embedded.texts(Unit(name, number))]


def test_rows_are_those_of_the_folder_and_nothing_is_copied(corpus, stored, counted):
    local = sources_of(corpus)
    assert all_pairs(stored) == all_pairs(local)
    size = sum(path.stat().st_size for path in corpus.embedded.glob("shards/*.tar"))
    # Beside the bytes, a kilobyte of headers and the records of both results.
    assert size < counted.bytes_read(".tar") < 1.1 * size
    assert len(counted.of("GET", ".tar")) == len(local.counts.pairs)
    assert texts_of(stored) == texts_of(local)
    assert sorted(stored.embedded.training_texts()) == sorted(local.embedded.training_texts())
    assert not (scratch_root() / "places").exists()


def test_streams_are_those_of_the_folder(corpus, stored):
    local = sources_of(corpus)
    for seed, rank in itertools.product((0, 1), (0, 1)):
        streams = [sources.pairs(seed, rank, world=2) for sources in (local, stored)]
        first, second = ([row.key for row in stream.rows(0, 40)] for stream in streams)
        assert first == second
    first, second = (sources.texts(0.5, seed=3).rows(2, 8) for sources in (local, stored))
    assert first == second


def test_a_store_that_fails_is_no_broken_row(stored, monkeypatch):
    from infra.object_store import StoreError
    from infra.object_streams import SequentialReader

    def refuse(*_):
        raise StoreError("the store is away")

    unit = Unit(*next(iter(stored.counts.pairs.items())))
    monkeypatch.setattr(SequentialReader, "__init__", refuse)
    with pytest.raises(StoreError, match="away"):
        stored.embedded.pairs(unit)
