"""Paths in object storage: read by ranges, written whole or not at all, named by a result's record."""

import io
import os
import pickle
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from infra import object_store, object_streams, storage
from infra.object_store import StoreError
from infra.places import stored_path
from infra.storage import StoragePath, any_path, appearing, dataset, pack, parquet_file, unpack
from infra.working import EARLIER, kept_files, working_path

RECORD = {"step": "tests", "seconds": 1.0, "facts": {}}


@pytest.fixture
def folder(counted, bucket) -> StoragePath:
    """An empty folder in a bucket behind a counter."""
    return StoragePath(f"{bucket}/folder")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(object_streams, "BLOCK_BYTES", 1_000)


def test_a_path_is_taken_apart_like_a_local_one(folder):
    path = folder / "shards" / "00000.tar"
    assert str(path) == f"{folder}/shards/00000.tar"
    assert (path.name, path.stem, path.parent.name) == ("00000.tar", "00000", "shards")
    assert path.with_name("00001.tar") == folder / "shards" / "00001.tar"
    assert any_path(str(path)) == StoragePath(str(path))
    assert pickle.loads(pickle.dumps(path)) == path == unpack(pack(path))
    assert (unpack(pack(Path("/a/b"))), unpack(pack(None))) == (Path("/a/b"), None)
    with pytest.raises(TypeError):
        os.fspath(path)


def test_what_is_not_there(folder):
    path = folder / "none"
    assert not path.exists()
    for read in (path.open, path.read_bytes, path.stat, lambda: path.open(sequential=False).read(1)):
        with pytest.raises(FileNotFoundError, match="Errno 2. is not there: .*folder/none"):
            read()


def test_small_files_and_folders(folder):
    storage.arrow().create_dir(f"{folder}/a".removeprefix("s3://"))
    (folder / "a" / "x.json").write_bytes("猫".encode())
    (folder / "a" / "y.txt").write_bytes(b"")
    (folder / "a" / "b" / "z.json").write_bytes(b"z")
    assert (folder / "a" / "x.json").read_text() == "猫"
    assert (folder / "a" / "y.txt").open().read() == b""
    assert (folder / "a" / "x.json").stat().st_size == 3
    assert (folder / "a").exists() and not (folder / "a").is_file()
    assert [path.relative for path in folder.glob("a/*.json")] == ["a/x.json"]
    assert [path.relative for path in folder.glob("*/[ab]/*")] == ["a/b/z.json"]
    assert [path.name for path in (folder / "a").glob("*")] == ["x.json", "y.txt"]


def test_a_file_is_read_in_blocks_with_read_ahead(folder, counted, small_blocks):
    content = os.urandom(4_500)
    (folder / "file").write_bytes(content)
    counted.forget()
    with (folder / "file").open() as file:
        assert file.read(10) == content[:10]
        assert file.seek(4_200) == 4_200
        assert file.read() == content[4_200:]
        assert file.seek(-5, io.SEEK_END) == 4_495
        assert file.read(100) == content[-5:]
        file.seek(0)
        assert file.read() == content
    assert counted.of("HEAD") == []
    assert len(counted.of("GET", "file")) <= 12


def test_a_broken_answer_is_asked_for_again(folder, monkeypatch):
    (folder / "file").write_bytes(b"content")
    read, failures = object_streams.read_range, iter([object_streams.Interrupted("gone")] * 2)

    def broken(*arguments):
        for failure in failures:
            raise failure
        return read(*arguments)

    monkeypatch.setattr(object_streams, "read_range", broken)
    assert (folder / "file").open().read() == b"content"


def test_a_file_that_changes_while_it_is_read_is_an_error(folder, small_blocks):
    (folder / "file").write_bytes(bytes(5_000))
    with (folder / "file").open() as file:
        (folder / "file").write_bytes(bytes([1]) * 5_000)
        with pytest.raises(StoreError):
            file.seek(4_500)
            file.read()


def test_a_fault_of_the_store_is_no_fault_of_the_file(folder, monkeypatch):
    """Code that takes an OSError for a broken picture must not see one."""
    (folder / "file").write_bytes(b"content")
    file = (folder / "file").open(sequential=False)
    assert file.read(3) == b"con"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    object_store.client_at.cache_clear()
    with pytest.raises(StoreError):
        file.read(1)
    object_store.client_at.cache_clear()


def test_a_tar_is_written_and_read_as_it_lies(folder, counted, monkeypatch):
    monkeypatch.setattr(object_streams, "PART_BYTES", 5 * 2**20)
    content = {f"{number}.jpg": os.urandom(3 * 2**20) for number in range(5)}
    with appearing(folder / "0.tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for name, body in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
        assert not (folder / "0.tar").exists()
    assert len(counted.of("PUT", "0.tar?")) == 4
    with (folder / "0.tar").open() as file, tarfile.open(fileobj=file, mode="r:") as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == content


@pytest.mark.parametrize("num_bytes", [10, 11 * 2**20])
def test_what_fails_half_way_leaves_nothing(folder, s3, num_bytes):
    with pytest.raises(ValueError, match="half"), appearing(folder / "file") as file:
        file.write(bytes(num_bytes))
        raise ValueError("half")
    forgotten = (folder / "file").open("wb")
    forgotten.write(bytes(num_bytes))
    del forgotten
    assert object_store.list_items(folder.root, s3) == []
    assert object_store.unfinished_uploads(folder.root, s3) == []


def test_a_local_file_appears_whole_too(tmp_path):
    with pytest.raises(ValueError, match="half"), appearing(tmp_path / "file") as file:
        file.write(b"x")
        raise ValueError("half")
    assert list(tmp_path.iterdir()) == []
    with appearing(tmp_path / "file") as file:
        file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_of_a_parquet_file_only_what_is_asked_for_is_read(folder, counted):
    table = pa.table({"key": list(range(20_000)), "vector": [os.urandom(64) for _ in range(20_000)]})
    with appearing(folder / "scores" / "0.parquet") as file:
        pq.write_table(table, file, row_group_size=5_000)
    counted.forget()
    assert pq.read_table(parquet_file(folder / "scores" / "0.parquet"), columns=["key"])[
        "key"
    ].to_pylist() == (table["key"].to_pylist())
    assert counted.bytes_read("0.parquet") < table.nbytes / 4
    counted.forget()
    rows = dataset(folder / "scores")
    assert rows.to_table(columns=["key"], filter=pc.field("key") < 3)["key"].to_pylist() == [0, 1, 2]
    assert counted.bytes_read("0.parquet") < table.nbytes / 4


def write(path: StoragePath, *names: str) -> None:
    for name in names:
        (path / name).write_bytes(name.encode())


PLACE = "store/embed_pairs/0123456789ab"
FINISHED_BY = ("scores/*.parquet",)


def test_a_result_is_written_where_it_lies_and_names_its_files(bucket, counted):
    place = f"{bucket}/{PLACE}"
    with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        write(path, "shards/0.tar", "scores/0.parquet", "card.json")
        record = finish(RECORD)
    assert record["files"] == {path.root: {"card.json": 9, "scores/0.parquet": 16, "shards/0.tar": 12}}
    result = stored_path(place, counted.endpoint)
    assert (result / "done.json").exists()
    counted.forget()
    assert [item.name for item in result.glob("shards/*")] == ["0.tar"]
    assert sum(item.stat().st_size for item in (result / "scores").glob("*.parquet")) == 16
    assert len(counted.requests) <= 1
    assert (result / "shards" / "0.tar").read_text() == "shards/0.tar"


def cut_off(place: str, endpoint: str, *names: str) -> str:
    """An attempt that fails after these files; its address."""
    with (
        pytest.raises(ValueError, match="cut off"),
        working_path(place, endpoint, "tests", FINISHED_BY) as (path, _),
    ):
        write(path, *names)
        raise ValueError("cut off")
    return path.root


def test_a_retry_goes_on_with_what_is_finished_where_it_lies(bucket, counted):
    place = f"{bucket}/{PLACE}"
    first = cut_off(place, counted.endpoint, "shards/0.tar", "scores/0.parquet", "shards/1.tar", "junk")
    counted.forget()
    with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        assert (path / "scores" / "0.parquet").exists()
        assert not (path / "shards" / "1.tar").exists()
        write(path, "shards/1.tar", "scores/1.parquet")
        record = finish(RECORD)
    assert counted.bytes_read("0.tar") == 0
    assert record["files"] == {
        first: {"scores/0.parquet": 16, "shards/0.tar": 12},
        path.root: {"scores/1.parquet": 16, "shards/1.tar": 12},
    }
    left = {f"{place}/{item.name}" for item in object_store.list_folder(place, counted.endpoint)}
    named = {f"{url}/{name}" for url, files in record["files"].items() for name in files}
    assert left == named | {f"{place}/done.json"}
    result = stored_path(place, counted.endpoint)
    assert (result / "shards" / "0.tar").url.startswith(first)
    assert sorted((result / "shards").sizes()) == ["0.tar", "1.tar"]


def test_of_two_attempts_the_first_to_finish_stands_with_what_it_uses_of_the_other(bucket, counted):
    place = f"{bucket}/{PLACE}"
    with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (slow, finish_slow):
        write(slow, "shards/0.tar", "scores/0.parquet")
        with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (fast, finish_fast):
            write(fast, "shards/1.tar", "scores/1.parquet")
            record = finish_fast(RECORD)
        write(slow, "shards/1.tar", "scores/1.parquet")
        assert finish_slow(RECORD) == record
    left = {item.name.partition("/")[2] for item in object_store.list_folder(place, counted.endpoint)}
    assert left == {"", "shards/0.tar", "scores/0.parquet", "shards/1.tar", "scores/1.parquet"}
    result = stored_path(place, counted.endpoint)
    assert {path.read_text() for path in result.glob("shards/*")} == {"shards/0.tar", "shards/1.tar"}
    assert not any(EARLIER in item.name for item in object_store.list_folder(place, counted.endpoint))


def test_a_shard_and_its_scores_are_of_one_attempt():
    attempts = {
        "1": {"shards/0.tar": 1, "scores/0.parquet": 1, "shards/1.tar": 1},
        "2": {"shards/0.tar": 2, "shards/1.tar": 2, "scores/1.parquet": 2},
    }
    assert kept_files(attempts, FINISHED_BY) == {
        "shards/0.tar": ("1", 1),
        "scores/0.parquet": ("1", 1),
        "shards/1.tar": ("2", 2),
        "scores/1.parquet": ("2", 2),
    }


def test_workers_elsewhere_are_told_the_endpoint(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert storage.environment() == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://store:8333")
    assert storage.environment() == {"AWS_ENDPOINT_URL_S3": "http://store:8333"}


KILLED = """
import os, signal, sys
from infra import object_parts
from infra.working import working_path

sent = object_parts.PartedUpload.send
def send_and_die(self, *arguments):
    sent(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
with working_path(sys.argv[1], os.environ["AWS_ENDPOINT_URL_S3"], "tests", ("scores/*",)) as (path, _):
    (path / "shards" / "0.tar").write_bytes(b"shards/0.tar")
    (path / "scores" / "0.parquet").write_bytes(b"scores/0.parquet")
    object_parts.PartedUpload.send = send_and_die
    with (path / "shards" / "1.tar").open("wb") as file:
        for _ in range(40):
            file.write(bytes(2**20))
"""


def test_a_process_killed_in_an_upload_leaves_no_half_shard_and_nothing_that_stays(bucket, counted):
    place = f"{bucket}/{PLACE}"
    done = subprocess.run([sys.executable, "-c", KILLED, place])
    assert done.returncode == -signal.SIGKILL
    assert object_store.unfinished_uploads(place, counted.endpoint)
    counted.forget()
    with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        assert [item.name for item in path.glob("shards/*")] == ["0.tar"]
        write(path, "shards/1.tar", "scores/1.parquet")
        record = finish(RECORD)
    named = {f"{url}/{name}" for url, files in record["files"].items() for name in files}
    left = {f"{place}/{item.name}" for item in object_store.list_folder(place, counted.endpoint)}
    assert left == named | {f"{place}/done.json"}
    assert {name.rpartition("/")[2] for name in named} == {"0.tar", "0.parquet", "1.tar", "1.parquet"}
    assert object_store.unfinished_uploads(place, counted.endpoint) == []
    assert counted.bytes_read("0.") == 0
