"""Training data in object storage: the same rows as in a folder, read where they lie, each byte once."""

import itertools

import pytest
import torch
from toy_training import SIDE, WIDTH, all_pairs, sources_of, tiny_student

from infra.places import stored_path
from infra.scratch import scratch_root
from infra.storage import StoragePath, copied, saved
from infra.working import working_path
from tests.stored import RECORD, store
from training.checkpoints import newest_whole, write_checkpoint
from training.job import CARRIED, STUDENT, TrainingJob, read_curve
from training.progress import open_lines
from training.ray_edge import Session
from training.settings import Phase
from training.sources import DataSources
from training.stream import Unit
from training.student import load_student
from training.worker import train


@pytest.fixture
def folders(corpus, bucket, counted) -> tuple[StoragePath, StoragePath]:
    """The corpus in a bucket."""
    embedded = store(corpus.embedded, f"{bucket}/store/embed_pairs/1", counted.endpoint)
    selection = store(corpus.selection, f"{bucket}/store/select_pairs/1", counted.endpoint)
    counted.forget()
    return embedded, selection


@pytest.fixture
def stored(folders) -> DataSources:
    """The corpus in a bucket, as a worker opens it."""
    return DataSources(*folders, WIDTH, SIDE)


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


PHASE = Phase("both", ("image", "text"), "pairs", {"image_feature": 1.0, "text_feature": 1.0}, 3, 8, 1e-3)


def trained_at(place, start, embedded, selection) -> dict:
    """Train there as the only worker; the student's weights as they are stored."""
    job = TrainingJob("align_student", embedded, selection, place, WIDTH, (PHASE,), start=start)
    train(job, Session(0, 1, torch.device("cpu"), print, None))
    with copied(place / STUDENT) as folder:
        return load_student(folder).model.state_dict()


def losses_at(place) -> list[float]:
    return [point["loss"] for point in read_curve(place)]


def test_a_student_trained_in_the_store_is_that_of_a_folder(corpus, folders, bucket, counted, tmp_path):
    tiny_student().save(tmp_path / "start")
    local = trained_at(tmp_path, tmp_path / "start", corpus.embedded, corpus.selection)
    start = store(tmp_path / "start", f"{bucket}/store/distill_student/1", counted.endpoint)
    place = f"{bucket}/store/align_student/1"
    with working_path(place, counted.endpoint, "tests", (), CARRIED) as (path, finish):
        found = trained_at(path, start, *folders)
        finish(RECORD)
    assert all(tensor.equal(found[name]) for name, tensor in local.items())
    assert losses_at(stored_path(place, counted.endpoint)) == losses_at(tmp_path)
    assert len(losses_at(tmp_path)) == 3


def test_a_curve_goes_on_where_an_attempt_was_cut_off(bucket, counted):
    place = f"{bucket}/store/align_student/2"
    with (
        pytest.raises(ValueError, match="killed"),
        working_path(place, counted.endpoint, "tests", (), CARRIED) as (path, _),
    ):
        lines = open_lines(path / "curve.jsonl")
        lines.write('{"step": 0}\n')
        lines.flush()
        (path / STUDENT / "config.json").write_text("{}")
        raise ValueError("killed")
    with working_path(place, counted.endpoint, "tests", (), CARRIED) as (path, finish):
        lines = open_lines(path / "curve.jsonl")
        lines.write('{"step": 1}\n')
        lines.flush()
        record = finish(RECORD)
    assert record["files"] == {path.root: {"curve.jsonl": 24, "student/config.json": 2}}
    assert (stored_path(place, counted.endpoint) / "curve.jsonl").read_text() == '{"step": 0}\n{"step": 1}\n'


def test_the_newest_whole_checkpoint_is_found_in_the_store(bucket, counted):
    root = StoragePath(f"{bucket}/store/align_student/3/shared/train")
    for number in (1, 2):
        with saved(root / f"checkpoint_{number}") as folder:
            folder.mkdir()
            write_checkpoint({"step": number}, folder)
    assert newest_whole(root / "checkpoint_2") == ({"step": 2}, [])
    (root / "checkpoint_2" / "checkpoint.pt").write_bytes(b"half")
    assert newest_whole(root / "checkpoint_2") == ({"step": 1}, ["checkpoint_2"])
