"""What a person sees of dropped rows: a few of each reason, their captions, small pictures."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spark_jobs.drop_samples import sample_drops, thumbnails, write_samples
from training.shards import write_shard


def table(path, rows: list[dict]):
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), path / "part.parquet")
    return path


def image(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def tables(tmp_path) -> dict:
    early = [{"url": f"http://a/{number}", "zh": "长" * 500, "reason": "zh_too_long"} for number in range(12)]
    late = [{"key": f"0000{number}", "shard": "00000", "reason": "low_teacher_score"} for number in (1, 2)]
    return {
        "download_pairs": table(tmp_path / "early", early),
        "filter_pairs": tmp_path / "absent",
        "select_pairs": table(tmp_path / "late", late),
    }


def test_a_few_of_each_reason_with_what_is_known(spark, tables):
    rows = sample_drops(spark, tables, per_reason=3)
    assert [(row["step"], row["reason"]) for row in rows] == [("download_pairs", "zh_too_long")] * 3 + [
        ("select_pairs", "low_teacher_score")
    ] * 2
    assert {len(row["zh"]) for row in rows[:3]} == {200}
    assert rows[0]["key"] is None


def test_no_table_no_samples(spark, tmp_path):
    assert sample_drops(spark, {"filter_pairs": tmp_path / "absent"}) == []


def test_pictures_are_small_and_a_bad_one_is_left_out(tmp_path):
    members = [
        {"__key__": "00001", "png": image(300), "json": b"{}"},
        {"__key__": "00002", "png": b"no picture", "json": b"{}"},
        {"__key__": "00003", "png": image(30), "json": b"{}"},
    ]
    write_shard(tmp_path / "00000.tar", members)
    samples = [{"shard": "00000", "key": key, "zh": "红"} for key in ("00001", "00002")]
    found = thumbnails(tmp_path, [*samples, {"shard": "00009", "key": "00009"}])
    assert list(found) == ["00001"]
    assert Image.open(io.BytesIO(found["00001"])).size == (96, 96)
    write_samples(tmp_path / "samples", samples, found)
    rows = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert [row["picture"] for row in rows] == ["00001.jpg", None]
