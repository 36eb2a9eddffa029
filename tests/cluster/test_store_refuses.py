"""Object storage that takes some writes and then no more: a clear end, and a rerun that completes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.reference import read_reference
from components.step import run_step
from infra import object_store
from infra.places import local_copy, read_record
from infra.store import DONE
from tests.artifacts import new_artifact
from tests.cluster.refusing_proxy import Gate, Refusal, refusing_proxy

NAMES = [f"shards/{number:05d}.tar" for number in range(6)]
NUM_TAKEN = 3
ERROR = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{}</Code><Message>{}</Message></Error>"


def refusal(status: int, code: str) -> Refusal:
    """An answer as S3 servers have it."""
    return Refusal(status, ERROR.format(code, code).encode())


@dataclass(frozen=True)
class WriteShards:
    """A toy step's settings."""

    seed: int = 0


def write_shards(config: WriteShards, place: Path, engines: dict) -> dict:
    """A toy step that writes the shards that are not there."""
    (place / "shards").mkdir(exist_ok=True)
    missing = [name for name in NAMES if not (place / name).exists()]
    for name in missing:
        (place / name).write_text(name)
    return {"written": len(missing)}


@pytest.fixture
def gate(s3) -> Iterator[Gate]:
    with refusing_proxy(s3) as gate:
        yield gate


def run(bucket: str, gate: Gate, folder: Path) -> str:
    """Where the result of the toy step is, with its root in the bucket."""
    config = {"values": {"seed": 0}, "code": "c", "root": f"{bucket}/store"}
    config |= {"engines": {"s3_endpoint": gate.url}}
    output = new_artifact(folder)
    run_step("write_shards", write_shards, WriteShards, config, {}, output)
    return read_reference(output).address


def stored(bucket: str, s3: str) -> list[str]:
    """Names below all attempts at the one place."""
    return [item.name.split("/", 4)[-1] for item in object_store.list_folder(bucket, s3)]


@pytest.mark.parametrize(
    "refusal, advice",
    [
        (refusal(403, "QuotaExceeded"), "the bucket's quota is used up: raise it"),
        (refusal(507, "XMinioStorageFull"), "the server's disks are full: make room there"),
        (refusal(503, "SlowDown"), "the server asks for fewer requests"),
    ],
    ids=["quota", "full", "busy"],
)
def test_storage_that_takes_no_more_ends_the_step_and_a_rerun_goes_on(
    bucket, s3, gate, refusal, advice, monkeypatch, tmp_path, capsys
):
    puts = itertools.count()
    gate.refuse = lambda method, path: refusal if method == "PUT" and next(puts) >= NUM_TAKEN else None
    with pytest.raises(SystemExit):
        run(bucket, gate, tmp_path)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"[write_shards] failed: {bucket}/store/write_shards/")
    assert advice in last
    assert len(stored(bucket, s3)) == NUM_TAKEN
    # The server is well again, and the retry is on another machine.
    gate.refuse = lambda method, path: None
    monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "elsewhere"))
    address = run(bucket, gate, tmp_path)
    assert read_record(address, s3)["facts"] == {"written": len(NAMES) - NUM_TAKEN}
    assert sorted(name for name in stored(bucket, s3) if name != DONE) == NAMES
    with local_copy(address, s3, "tests") as folder:
        assert [(folder / name).read_text() for name in NAMES] == NAMES
