"""Embedding in object storage: raw shards streamed in, embedded shards out, nothing fetched whole."""

import pytest
from toy_training import pair_rows, picture, png, write_table

from infra import object_store
from infra.places import stored_path
from infra.scratch import scratch_root
from infra.working import refer_to, working_path
from tests.stored import RECORD, store
from tests.training.test_embed import CountingTeacher
from training import embed, shards

ROWS = pair_rows(12)
FINISHED_BY = ("scores/*", "texts/*")


@pytest.fixture
def embedder(monkeypatch) -> embed.Embedder:
    monkeypatch.setattr(embed, "load_teacher", CountingTeacher)
    CountingTeacher.num_asked = 0
    return embed.Embedder("teacher", num_threads=1)


@pytest.fixture
def folders(tmp_path, bucket, counted) -> dict:
    """Raw shards and kept pairs, in a folder and in a bucket."""
    (tmp_path / "raw" / "shards").mkdir(parents=True)
    for name in ("00000", "00001"):
        samples = [
            {"__key__": row["key"], "png": png(picture(row["colour"])), "json": b"{}"}
            for row in ROWS
            if row["shard"] == name
        ]
        shards.write_shard(tmp_path / "raw" / "shards" / f"{name}.tar", samples)
    write_table(tmp_path / "pairs" / "kept.parquet", ROWS)
    for name in ("shards", "captions", "scores", "texts"):
        (tmp_path / "place" / name).mkdir(parents=True)
    raw = store(tmp_path / "raw", f"{bucket}/store/download_pairs/1", counted.endpoint)
    pairs = store(tmp_path / "pairs", f"{bucket}/store/filter_pairs/1", counted.endpoint)
    return {"local": tmp_path, "raw": raw, "pairs": pairs, "place": f"{bucket}/store/embed_pairs/1"}


def content(folder) -> dict[str, bytes]:
    """Files of both kinds of shards by name."""
    found = [file for kind in ("shards", "captions", "scores") for file in folder.glob(f"{kind}/*")]
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


def test_files_are_those_of_a_folder(folders, embedder, counted):
    local = folders["local"]
    for item in embed.shard_items(local / "pairs", local / "raw", local / "place"):
        embedder(item)
    counted.forget()
    with working_path(folders["place"], counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        for item in embed.shard_items(folders["pairs"], folders["raw"], path):
            embedder(item)
        finish(RECORD)
    result = stored_path(folders["place"], counted.endpoint)
    size = sum(path.stat().st_size for path in (local / "raw" / "shards").glob("*.tar"))
    assert len(counted.of("GET", "download_pairs/1/")) <= 2 + 1
    assert counted.bytes_read(".tar") < 1.1 * size + 2_000
    assert content(result) == content(local / "place")
    assert not (scratch_root() / "places").exists()


def test_a_rerun_makes_and_reads_only_what_was_in_flight(folders, embedder, counted):
    with (
        pytest.raises(ValueError, match="killed"),
        working_path(folders["place"], counted.endpoint, "tests", FINISHED_BY) as (path, _),
    ):
        first, _ = embed.shard_items(folders["pairs"], folders["raw"], path)
        embedder(first)
        with shards.open_shard(path / "shards" / "00001.tar") as add:
            add({"__key__": "000000006", "json": b"{}"})
            raise ValueError("killed")
    CountingTeacher.num_asked = 0
    counted.forget()
    with working_path(folders["place"], counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        found = [embedder(item) for item in embed.shard_items(folders["pairs"], folders["raw"], path)]
        record = finish(RECORD)
    assert [facts["pairs"] for facts in found] == [6, 6]
    assert counted.bytes_read("00000.tar") == 0
    assert CountingTeacher.num_asked == sum(
        bool(row[lang]) for row in ROWS for lang in ("zh", "en") if row["shard"] == "00001"
    )
    named = {f"{url}/{name}" for url, files in record["files"].items() for name in files}
    left = object_store.list_folder(folders["place"], counted.endpoint)
    assert {f"{folders['place']}/{item.name}" for item in left} == named | {f"{folders['place']}/done.json"}
    assert object_store.unfinished_uploads(folders["place"], counted.endpoint) == []


def test_a_new_version_refers_to_the_shards_of_the_one_before(folders, embedder, counted, bucket):
    with working_path(folders["place"], counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        for item in embed.shard_items(folders["pairs"], folders["raw"], path):
            embedder(item)
        finish(RECORD)
    earlier = stored_path(folders["place"], counted.endpoint)
    place = f"{bucket}/store/embed_pairs/2"
    counted.forget()
    with working_path(place, counted.endpoint, "tests", FINISHED_BY) as (path, finish):
        items = embed.shard_items(folders["pairs"], folders["raw"], path, earlier)
        names = [embedder(item)["referenced"] for item in items]
        kinds = ("shards/{}.tar", "captions/{}.parquet")
        files = [kind.format(name) for name in names for kind in kinds]
        refer_to(path, {file: earlier / file for file in files})
        finish(RECORD)
    assert names == ["00000", "00001"]
    assert counted.of("PUT", ".tar") == counted.of("POST", ".tar") == []
    assert counted.bytes_read("download_pairs") == 0
    result = stored_path(place, counted.endpoint)
    assert (result / "shards" / "00000.tar").url == (earlier / "shards" / "00000.tar").url
    assert content(result).keys() == content(earlier).keys()
    assert [sample["__key__"] for sample in shards.read_shard(result / "shards" / "00000.tar")] == [
        row["key"] for row in ROWS if row["shard"] == "00000"
    ]
