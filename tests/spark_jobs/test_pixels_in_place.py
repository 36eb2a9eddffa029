"""Images judged in object storage: tars are read where they lie, by executors too, and each byte once."""

import os
import tarfile

import pytest

from infra.object_store import StoreError
from infra.scratch import scratch_root
from infra.storage import StoragePath
from spark_jobs import pixels
from tests.spark_jobs.test_pixels import LIMITS, PICTURES
from tests.stored import store

REASONS = {str(number): reason for number, (_, reason) in enumerate(PICTURES.values())}


@pytest.fixture
def raw(tmp_path, bucket, counted) -> StoragePath:
    """A finished crawl of one shard with every picture."""
    (tmp_path / "raw" / "shards").mkdir(parents=True)
    with tarfile.open(tmp_path / "raw" / "shards" / "00000.tar", "w") as tar:
        for number, (body, _) in enumerate(PICTURES.values()):
            file = tmp_path / f"{number}.jpg"
            file.write_bytes(body)
            tar.add(file, file.name)
    found = store(tmp_path / "raw", f"{bucket}/store/download_pairs/1", counted.endpoint)
    counted.forget()
    return found


def test_a_shard_is_judged_where_it_lies(raw, counted):
    path = raw / "shards" / "00000.tar"
    found = pixels.judge_shard(path, set(REASONS), LIMITS)
    assert {key: reason for key, (reason, _) in found.items()} == REASONS
    assert len(counted.of("GET", ".tar")) == 1
    assert counted.bytes_read(".tar") < 1.1 * path.stat().st_size
    assert not (scratch_root() / "places").exists()


def test_executors_judge_it_where_it_lies(raw, counted, spark, monkeypatch):
    for name in (name for name in os.environ if name.startswith("AWS_")):
        monkeypatch.setitem(spark.sparkContext.environment, name, os.environ[name])
    rows = [(key, "00000", None, None) for key in REASONS]
    made = spark.createDataFrame(rows, "key string, shard string, reason string, error_message string")
    found = pixels.mark_pixels(made.coalesce(1), raw / "shards", LIMITS)
    assert {row["key"]: row["reason"] for row in found.collect()} == REASONS
    assert len(counted.of("GET", ".tar")) == 1


def test_a_store_that_fails_is_no_unreadable_image(raw, monkeypatch):
    def refuse(*_):
        raise StoreError("the store is away")

    monkeypatch.setattr("infra.object_streams.read_range", refuse)
    with pytest.raises(StoreError, match="away"):
        pixels.judge_shard(raw / "shards" / "00000.tar", set(REASONS), LIMITS)
