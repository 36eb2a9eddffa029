"""Places in object storage: finished once and for all, resumed elsewhere, never mixed, copied once."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra import object_store, places
from infra.object_store import StoreError
from infra.places import Attempt, is_temporary, local_copy, local_input, read_record, working_folder
from infra.scratch import scratch_root
from infra.store import DONE, read_json

STEP = "tests"
RECORD = {"step": STEP, "seconds": 1.0, "facts": {}}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write text files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files_of(folder: Path) -> dict[str, str]:
    """Text of each file but the record."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in found.items() if name != DONE}


def finish(place: str, endpoint: str, files: dict[str, str]) -> dict:
    """Make a place with these files; returns its record."""
    with working_folder(place, endpoint, STEP) as (folder, finished):
        write(folder, files)
        return finished(RECORD)


def other_machine(monkeypatch, folder: Path) -> None:
    """From now on nothing that was copied before is here."""
    monkeypatch.setenv("DCCLIP_SCRATCH", str(folder))


def stored(place: str, endpoint: str) -> set[str]:
    """Names of all objects below a place, without the attempts' names."""
    names = [item.name for item in object_store.list_folder(place, endpoint)]
    return {name.partition("/")[2] or name for name in names}


@pytest.fixture
def place(bucket) -> str:
    """The address of a place where nothing is yet."""
    return f"{bucket}/store/filter_pairs/0123456789ab"


@pytest.fixture
def settled(monkeypatch):
    """Every file counts as finished at once."""
    monkeypatch.setattr(places, "SETTLED_SECONDS", -1.0)


FILES = {"kept.parquet/part-0.parquet": "kept", "facts.json": "猫"}


@pytest.mark.parametrize("root", ["disk", "bucket"])
def test_a_place_is_finished_and_read(root, request, s3, tmp_path):
    place = f"{tmp_path}/0123456789ab" if root == "disk" else request.getfixturevalue("place")
    assert read_record(place, s3) is None
    record = finish(place, s3, FILES)
    assert {key: record[key] for key in RECORD} == RECORD
    assert read_record(place, s3) == record
    with local_copy(place, s3, STEP) as folder:
        assert files_of(folder) == FILES
        assert folder.name == "0123456789ab"


def test_another_machine_reads_it_and_fetches_it_once(place, s3, monkeypatch, tmp_path, capsys):
    finish(place, s3, FILES)
    other_machine(monkeypatch, tmp_path / "elsewhere")
    for _ in range(2):
        with local_copy(place, s3, STEP) as folder:
            assert files_of(folder) == FILES
    assert capsys.readouterr().out.count("copying 2 files") == 1


def test_the_machine_that_made_it_fetches_nothing(place, s3, capsys):
    finish(place, s3, FILES)
    with local_copy(place, s3, STEP) as folder:
        assert files_of(folder) == FILES
    assert "copying" not in capsys.readouterr().out


def test_only_what_is_needed_is_fetched(place, s3, monkeypatch, tmp_path):
    record = finish(place, s3, FILES)
    other_machine(monkeypatch, tmp_path / "elsewhere")
    with local_copy(place, s3, STEP, only=()) as folder:
        assert (files_of(folder), read_json(folder / DONE)) == ({}, record)
    with local_copy(place, s3, STEP, only=("*.json",)) as folder:
        assert set(files_of(folder)) == {"facts.json"}
    with local_copy(place, s3, STEP) as folder:
        assert files_of(folder) == FILES


def test_an_unfinished_place_is_not_read(place, s3):
    with (
        pytest.raises(StoreError, match=f"{place} is not finished; run the step before again"),
        local_copy(place, s3, STEP),
    ):
        pass


def test_the_record_is_there_only_when_all_files_are(place, s3, settled):
    with working_folder(place, s3, STEP) as (folder, finished):
        write(folder, FILES)
        assert stored(place, s3) == set()
        finished(RECORD)
    assert stored(place, s3) == {*FILES, DONE}


def cut_off(place: str, s3: str, files: dict[str, str]) -> None:
    """An attempt that stores these files and then fails."""
    with (
        pytest.raises(ValueError, match="cut off"),
        working_folder(place, s3, STEP) as (folder, _),
    ):
        write(folder, files)
        raise ValueError("cut off")


def test_another_machine_goes_on_from_what_was_stored(place, s3, settled, monkeypatch, tmp_path):
    cut_off(place, s3, {"shards/0.tar": "zero", ".hidden": "x", "_tmp/1.tar": "half"})
    assert stored(place, s3) == {"shards/0.tar"}
    other_machine(monkeypatch, tmp_path / "elsewhere")
    with working_folder(place, s3, STEP) as (folder, finished):
        assert files_of(folder) == {"shards/0.tar": "zero"}
        write(folder, {"shards/1.tar": "one"})
        finished(RECORD)
    assert stored(place, s3) == {"shards/0.tar", "shards/1.tar", DONE}
    assert len(object_store.list_folder(place, s3)) == 3


def test_the_same_machine_goes_on_from_its_folder(place, s3):
    """Nothing had settled when it failed, so nothing was stored."""
    cut_off(place, s3, {"shards/0.tar": "zero"})
    assert stored(place, s3) == set()
    with working_folder(place, s3, STEP) as (folder, _):
        assert files_of(folder) == {"shards/0.tar": "zero"}


def test_files_that_may_still_change_are_not_stored(place, s3, tmp_path):
    attempt = Attempt(place, tmp_path, s3, STEP)
    write(tmp_path, {"old.tar": "old", "new.tar": "new"})
    os.utime(tmp_path / "old.tar", (1, 1))
    attempt.upload_settled()
    assert stored(place, s3) == {"old.tar"}


def test_files_go_up_in_the_order_in_which_they_were_finished(place, s3, tmp_path, monkeypatch, settled):
    order = []
    upload = object_store.upload
    monkeypatch.setattr(
        object_store, "upload", lambda files, *rest: (order.extend(files), upload(files, *rest))
    )
    write(tmp_path, {"0_stats.json": "s", "0.tar": "t", "0.parquet": "p"})
    for seconds, name in enumerate(("0.tar", "0.parquet", "0_stats.json")):
        os.utime(tmp_path / name, (seconds, seconds))
    Attempt(place, tmp_path, s3, STEP).upload_settled()
    assert order == ["0.tar", "0.parquet", "0_stats.json"]


def test_a_changed_file_is_stored_anew_and_a_removed_one_removed(place, s3, tmp_path, settled):
    attempt = Attempt(place, tmp_path, s3, STEP)
    write(tmp_path, {"snapshot.json": "1", "checkpoint_1": "c"})
    attempt.upload_settled()
    write(tmp_path, {"snapshot.json": "22", "checkpoint_2": "c"})
    (tmp_path / "checkpoint_1").unlink()
    attempt.upload_settled()
    assert stored(place, s3) == {"snapshot.json", "checkpoint_2"}
    assert object_store.read_bytes(f"{attempt.url}/snapshot.json", s3) == b"22"


def test_a_file_that_changes_while_it_is_read_does_not_stay(place, s3, tmp_path, monkeypatch, settled):
    upload = object_store.upload

    def upload_and_write(files, *rest):
        upload(files, *rest)
        write(tmp_path, {"curve.jsonl": "more"})

    write(tmp_path, {"curve.jsonl": "one"})
    attempt = Attempt(place, tmp_path, s3, STEP)
    monkeypatch.setattr(object_store, "upload", upload_and_write)
    attempt.upload_settled()
    assert stored(place, s3) == set()
    monkeypatch.setattr(object_store, "upload", upload)
    attempt.upload_settled()
    assert object_store.read_bytes(f"{attempt.url}/curve.jsonl", s3) == b"more"


def test_of_two_attempts_at_one_place_the_first_to_finish_stands(place, s3, monkeypatch, tmp_path, capsys):
    with working_folder(place, s3, STEP) as (slow, finish_slow):
        write(slow, {"part-slow": "slow", "both": "slow"})
        monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "elsewhere"))
        first = finish(place, s3, {"part-fast": "fast", "both": "fast"})
        assert finish_slow(RECORD) == first
    assert "another attempt finished this place first" in capsys.readouterr().out
    assert stored(place, s3) == {"part-fast", "both", DONE}
    with local_copy(place, s3, STEP) as folder:
        assert files_of(folder) == {"part-fast": "fast", "both": "fast"}


def test_an_answer_that_was_lost_does_not_undo_the_place(place, s3, monkeypatch):
    """The record was written, the client did not hear of it, asked again and was told that it is there."""
    write_new = object_store.write_new_json
    monkeypatch.setattr(object_store, "write_new_json", lambda *args: (write_new(*args), False)[1])
    record = finish(place, s3, FILES)
    assert read_record(place, s3) == record
    assert stored(place, s3) == {*FILES, DONE}


WORK = """
import os, signal, sys
from infra import object_store, places
from s3transfer.upload import UploadPartTask

places.SYNC_SECONDS, places.SETTLED_SECONDS = 0.05, -1.0
object_store.NUM_THREADS = 1
sent = UploadPartTask._main
def send_and_die(self, *args, **kwargs):
    sent(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
UploadPartTask._main = send_and_die
with places.working_folder(sys.argv[1], sys.argv[2], "tests") as (folder, finish):
    (folder / "small").write_text("whole")
    os.utime(folder / "small", (1, 1))
    (folder / "large").write_bytes(os.urandom(5 * object_store.PART_BYTES))
    finish({"step": "tests", "seconds": 1.0, "facts": {}})
"""


def test_a_step_killed_in_an_upload_leaves_no_half_file_and_its_rerun_completes(
    place, s3, monkeypatch, tmp_path
):
    done = subprocess.run([sys.executable, "-c", WORK, place, s3])
    assert done.returncode == -signal.SIGKILL
    assert "large" not in stored(place, s3)
    assert read_record(place, s3) is None
    assert object_store.unfinished_uploads(place, s3)
    other_machine(monkeypatch, tmp_path / "elsewhere")
    finish(place, s3, {"small": "whole", "large": "all of it"})
    assert stored(place, s3) == {"small", "large", DONE}
    assert object_store.unfinished_uploads(place, s3) == []


def test_storage_that_fails_for_a_while_does_not_stop_the_step(place, s3, settled, monkeypatch, capsys):
    attempt_upload = Attempt._upload
    monkeypatch.setattr(places, "SYNC_SECONDS", 0.01)
    failures = iter([StoreError("storage is away")] * 2)

    def fail_at_first(self, names):
        for failure in failures:
            raise failure
        attempt_upload(self, names)

    monkeypatch.setattr(Attempt, "_upload", fail_at_first)
    with working_folder(place, s3, STEP) as (folder, finished):
        write(folder, FILES)
        while "again: storage is away" not in capsys.readouterr().out:
            pass
        list(failures)
        finished(RECORD)
    assert stored(place, s3) == {*FILES, DONE}


@pytest.mark.parametrize(
    "name, temporary",
    [
        ("shards/00000.tar", False),
        ("kept.parquet/_SUCCESS", False),
        ("kept.parquet/.part-0.parquet.crc", True),
        ("kept.parquet/_temporary/0/part-0.parquet", True),
        ("shards/_tmp/0.feather", True),
        (".00000.tar.71", True),
        ("done.json", True),
    ],
)
def test_what_is_temporary(name, temporary):
    assert is_temporary(name) is temporary


@pytest.fixture
def lists(bucket, s3, tmp_path) -> str:
    """Two lists and a note in a bucket."""
    texts = {"lists/0.csv": "zero", "lists/1.csv": "one", "lists/notes": "n"}
    write(tmp_path / "from", texts)
    object_store.upload({name: tmp_path / "from" / name for name in texts}, bucket, s3, STEP)
    shutil.rmtree(tmp_path / "from")
    return f"{bucket}/lists"


@pytest.mark.parametrize("path, names", [("/0.csv", {"0.csv"}), ("/*.csv", {"0.csv", "1.csv"})])
def test_an_input_is_a_local_path_of_the_same_shape(lists, s3, path, names):
    with local_input(lists + path, s3, STEP) as local:
        assert local.endswith(path)
        found = list(Path(local).parent.glob(Path(local).name))
        assert {item.name for item in found} == names == set(os.listdir(Path(local).parent))


def test_a_folder_is_a_folder(lists, s3, capsys):
    for _ in range(2):
        with local_input(lists, s3, STEP) as local:
            assert Path(local).name == "lists"
            assert files_of(Path(local)) == {"0.csv": "zero", "1.csv": "one", "notes": "n"}
    assert capsys.readouterr().out.count("copying") == 1


def test_a_changed_input_is_fetched_again(lists, s3, tmp_path):
    with local_input(f"{lists}/0.csv", s3, STEP) as local:
        assert Path(local).read_text() == "zero"
    write(tmp_path, {"0.csv": "changed"})
    object_store.upload({"0.csv": tmp_path / "0.csv"}, lists, s3, STEP)
    with local_input(f"{lists}/0.csv", s3, STEP) as local:
        assert Path(local).read_text() == "changed"


def test_a_local_input_stays(tmp_path):
    with local_input(f"{tmp_path}/*.csv", "", STEP) as local:
        assert local == f"{tmp_path}/*.csv"
    assert not (scratch_root() / "inputs").exists()
