"""The endless sequence: all rows once an epoch, dealt out to workers, the same from any place, bounded."""

import itertools

import pytest

from training.stream import Stream, Unit, cut_units

COUNTS = {"00000": 10, "00001": 3, "00002": 7, "00003": 1, "00004": 0}
FILES = {name: [f"{name}/{number}" for number in range(count)] for name, count in COUNTS.items()}
EVERYTHING = sorted(itertools.chain(*FILES.values()))


def load(unit: Unit) -> list[str]:
    return FILES[unit.name][unit.part :: unit.num_parts]


def make(rank: int = 0, world: int = 1, counts: dict = COUNTS, reader=load, **options) -> Stream:
    return Stream(cut_units(counts, world), reader, rank=rank, world=world, **options)


@pytest.mark.parametrize("world", [1, 2, 5, 40])
def test_units_hold_every_row_once_and_enough_for_every_worker(world):
    units = cut_units(COUNTS, world)
    assert sorted(row for unit in units for row in load(unit)) == EVERYTHING
    assert [len(load(unit)) for unit in units] == [unit.num_rows for unit in units]
    assert len(units) >= min(world, 4)


def test_nothing_to_train_on_is_said():
    with pytest.raises(ValueError, match="no rows"):
        cut_units({"00000": 0}, 2)


@pytest.mark.parametrize("window", [1, 3, 100])
def test_an_epoch_has_every_row_once_and_the_next_has_another_order(window):
    stream = make(window=window)
    first, second = stream.rows(0, 21), stream.rows(21, 21)
    assert sorted(first) == sorted(second) == EVERYTHING
    assert first != second != EVERYTHING


@pytest.mark.parametrize("world", [2, 3])
def test_workers_share_an_epoch(world):
    units = cut_units(COUNTS, world)
    epochs = []
    for rank in range(world):
        stream = make(rank, world, window=2)
        own = [unit for _, own, _ in itertools.islice(stream._windows(), 50) for unit in own]
        share = own[: len(units[rank::world])]
        epochs += stream.rows(0, sum(unit.num_rows for unit in share))
    assert sorted(epochs) == EVERYTHING


def test_any_stretch_is_the_same_however_one_came_to_it():
    whole = make(1, 2, seed=3).rows(0, 100)
    stream = make(1, 2, seed=3)
    for first, number in ((0, 7), (7, 7), (50, 20), (60, 10), (5, 3)):
        assert stream.rows(first, number) == whole[first : first + number]


def test_seed_and_rank_change_the_order():
    sequences = [make(rank, 2, seed=seed).rows(0, 30) for rank in (0, 1) for seed in (0, 1)]
    assert len(set(map(tuple, sequences))) == 4


def test_more_workers_than_rows_hang_nobody():
    counts = {"00003": 1}
    assert [make(rank, 3, counts).rows(0, 4) for rank in range(3)] == [["00003/0"] * 4] * 3


def test_only_windows_that_are_needed_are_read():
    seen = []

    def watched(unit: Unit) -> list[str]:
        seen.append(unit)
        return load(unit)

    stream = make(reader=watched, window=1)
    stream.rows(1_000, 1)
    # The one that is needed, and the next one ahead of its use.
    assert len(seen) <= 2
    assert len(stream._loaded) == 1


def test_unreadable_rows_are_made_up_for_by_others():
    def half(unit: Unit) -> list[str]:
        return [] if unit.name == "00002" else load(unit)[:2]

    stream = make(reader=half, window=100)
    assert len(stream.rows(0, 21)) == 21
    readable = {row for unit in stream.units for row in half(unit)}
    assert set(stream.rows(0, 200)) == readable


def test_a_window_that_cannot_be_read_is_stood_in_for_wherever_one_starts():
    def without(unit: Unit) -> list[str]:
        return [] if unit.name == "00000" else load(unit)

    whole = make(reader=without, window=1).rows(0, 60)
    assert "00000" not in {row.partition("/")[0] for row in whole}
    for first in range(0, 60, 5):
        assert make(reader=without, window=1).rows(first, 5) == whole[first : first + 5]


def test_nothing_readable_at_all_is_an_error():
    with pytest.raises(ValueError, match="could be read"):
        make(reader=lambda unit: []).rows(0, 1)
