"""Objects against a real S3 server: whole or not at all, found by pattern, errors that say what to do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from infra import object_store
from infra.object_store import Item, StoreError
from tests.s3_server import OTHER_KEY, OTHER_SECRET

STEP = "tests"


def put(url: str, files: dict[str, bytes], folder: Path, endpoint: str) -> None:
    """Upload files with these contents."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    object_store.upload({name: folder / name for name in files}, url, endpoint, STEP)


@pytest.fixture
def fresh_client():
    """Clients keep the credentials they were made with: forget them before and after."""
    object_store.client_at.cache_clear()
    yield
    object_store.client_at.cache_clear()


FILES = {"a.txt": b"one", "below/猫 and space.txt": b"two", "empty": b""}


def test_what_goes_up_comes_down(bucket, s3, tmp_path):
    put(f"{bucket}/here", FILES, tmp_path / "from", s3)
    items = object_store.list_folder(f"{bucket}/here", s3)
    assert [(item.name, item.num_bytes) for item in items] == [(name, len(FILES[name])) for name in FILES]
    object_store.download(items, f"{bucket}/here", tmp_path / "to", s3, STEP)
    assert {name: (tmp_path / "to" / name).read_bytes() for name in FILES} == FILES


def test_a_large_file_goes_in_parts(bucket, s3, tmp_path):
    content = os.urandom(2 * object_store.PART_BYTES + 12_345)
    put(bucket, {"large": content}, tmp_path / "from", s3)
    (item,) = object_store.list_folder(bucket, s3)
    assert item.etag.endswith("-3")
    object_store.download([item], bucket, tmp_path / "to", s3, STEP)
    assert (tmp_path / "to" / "large").read_bytes() == content


UPLOAD = """
import sys
from pathlib import Path
from s3transfer.upload import UploadPartTask
from infra import object_store

sent = UploadPartTask._main
def announced(self, *args, **kwargs):
    result = sent(self, *args, **kwargs)
    print("part", flush=True)
    return result
UploadPartTask._main = announced
object_store.NUM_THREADS = 1
object_store.upload({"large": Path(sys.argv[1])}, sys.argv[2], sys.argv[3], "tests")
"""


def test_an_upload_cut_off_half_way_leaves_no_object(bucket, s3, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(12 * object_store.PART_BYTES))
    process = subprocess.Popen(
        [sys.executable, "-c", UPLOAD, str(large), bucket, s3], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "part\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert object_store.list_items(bucket, s3) == []
    assert [upload["Key"] for upload in object_store.unfinished_uploads(bucket, s3)] == ["large"]
    object_store.remove(bucket, s3)
    assert object_store.unfinished_uploads(bucket, s3) == []


def test_a_failed_upload_aborts_its_parts(bucket, s3, tmp_path):
    (tmp_path / "large").write_bytes(bytes(3 * object_store.PART_BYTES))
    (tmp_path / "gone").write_bytes(b"x")
    files = {"large": tmp_path / "large", "gone": tmp_path / "a folder"}
    (tmp_path / "a folder").mkdir()
    with pytest.raises(IsADirectoryError):
        object_store.upload(files, bucket, s3, STEP)
    assert object_store.unfinished_uploads(bucket, s3) == []


def test_the_first_to_write_a_new_object_wins(bucket, s3):
    assert object_store.read_json(f"{bucket}/done.json", s3) is None
    assert object_store.write_new_json(f"{bucket}/done.json", {"by": "猫"}, s3)
    assert not object_store.write_new_json(f"{bucket}/done.json", {"by": "狗"}, s3)
    assert object_store.read_json(f"{bucket}/done.json", s3) == {"by": "猫"}


def test_remove_takes_what_starts_alike_and_no_more(bucket, s3, tmp_path):
    put(bucket, {"a/x": b"1", "a/y": b"2", "ab/x": b"3"}, tmp_path, s3)
    object_store.remove(f"{bucket}/a/", s3)
    assert [item.name for item in object_store.list_folder(bucket, s3)] == ["ab/x"]


LISTS = {"lists/a/0.csv": b"0", "lists/a/1.csv": b"1", "lists/a/notes.txt": b"n", "lists/ab/0.csv": b"b"}


@pytest.mark.parametrize(
    "path, folder, names",
    [
        ("lists/a/0.csv", "lists/a", ["0.csv"]),
        ("lists/a", "lists", ["a/0.csv", "a/1.csv", "a/notes.txt"]),
        ("lists/a/", "lists", ["a/0.csv", "a/1.csv", "a/notes.txt"]),
        ("lists/a/*.csv", "lists/a", ["0.csv", "1.csv"]),
        ("lists/*/0.csv", "lists", ["a/0.csv", "ab/0.csv"]),
        ("lists/a/[1-9].csv", "lists/a", ["1.csv"]),
        ("lists/?", "lists", []),
    ],
)
def test_inputs_are_found_by_name_folder_and_pattern(bucket, s3, tmp_path, path, folder, names):
    put(bucket, LISTS, tmp_path, s3)
    if not names:
        with pytest.raises(StoreError, match="nothing is at"):
            object_store.find_inputs(f"{bucket}/{path}", s3)
        return
    found, items = object_store.find_inputs(f"{bucket}/{path}", s3)
    assert (found, [item.name for item in items]) == (f"{bucket}/{folder}", names)


def test_a_fingerprint_is_of_content(bucket, s3, tmp_path):
    put(bucket, LISTS, tmp_path, s3)
    prints = [object_store.fingerprint(f"{bucket}/{path}", s3) for path in ("lists/a", "lists/a/*.csv")]
    put(bucket, {"lists/a/notes.txt": b"other"}, tmp_path, s3)
    again = [object_store.fingerprint(f"{bucket}/{path}", s3) for path in ("lists/a", "lists/a/*.csv")]
    assert prints[0] != again[0]
    assert prints[1] == again[1]


def test_a_whole_bucket_is_no_input(bucket, s3):
    with pytest.raises(StoreError, match="is a whole bucket; name a folder in it"):
        object_store.find_inputs(bucket, s3)


def test_a_name_that_leaves_the_folder_is_refused(bucket, s3):
    client = boto3.client("s3", endpoint_url=s3)
    client.put_object(Bucket=bucket.removeprefix("s3://"), Key="lists/../../passwd", Body=b"x")
    for look in (object_store.list_folder, object_store.find_inputs):
        with pytest.raises(StoreError, match="cannot be a file's name"):
            look(f"{bucket}/lists", s3)


def write(url: str, endpoint: str) -> None:
    """Something that needs a valid signature."""
    object_store.write_new_json(url, {}, endpoint)


@pytest.mark.usefixtures("fresh_client")
class TestErrors:
    """Each says what to do."""

    def test_a_wrong_secret_is_refused(self, bucket, s3, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StoreError, match="secret key is wrong: check AWS_SECRET_ACCESS_KEY") as failure:
            write(f"{bucket}/x", s3)
        assert "test:tester" not in str(failure.value)

    def test_an_upload_with_a_wrong_secret_is_refused(self, bucket, s3, monkeypatch, tmp_path):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StoreError, match="secret key is wrong"):
            put(bucket, {"x": b"x"}, tmp_path, s3)

    def test_an_unknown_key_is_refused(self, bucket, s3, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        with pytest.raises(StoreError, match="check AWS_"):
            write(f"{bucket}/x", s3)

    def test_a_bucket_that_is_not_writable_is_named(self, bucket, s3, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", OTHER_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER_SECRET)
        with pytest.raises(StoreError, match=f"{bucket}/x at {s3}: .*credentials may not do that"):
            write(f"{bucket}/x", s3)

    def test_no_credentials(self, bucket, s3, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        with pytest.raises(StoreError, match="no credentials; set AWS_ACCESS_KEY_ID"):
            write(f"{bucket}/x", s3)

    def test_no_such_bucket(self, s3):
        with pytest.raises(StoreError, match="s3://no-such-bucket/x at .*: there is no such bucket"):
            write("s3://no-such-bucket/x", s3)

    def test_nobody_at_the_endpoint(self, s3):
        with pytest.raises(StoreError, match="the endpoint cannot be reached"):
            write("s3://bucket/x", "http://127.0.0.1:9")

    def test_an_endpoint_that_is_none(self, s3):
        with pytest.raises(StoreError, match="no such address: Invalid endpoint"):
            write("s3://bucket/x", "minio:9000")

    def test_no_bucket(self, s3):
        with pytest.raises(StoreError, match="s3:///x names no bucket"):
            write("s3:///x", s3)


def test_an_item_is_a_value():
    assert Item("a", 1, "e") == Item("a", 1, "e")


def test_the_endpoint_is_known_to_others_for_a_while(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with object_store.endpoint_known("http://minio:9000"):
        assert os.environ["AWS_ENDPOINT_URL_S3"] == "http://minio:9000"
    assert "AWS_ENDPOINT_URL_S3" not in os.environ
    with object_store.endpoint_known(""):
        assert "AWS_ENDPOINT_URL_S3" not in os.environ
