"""What is read from the records of shards."""

import json

import pandas as pd
import pytest

from components import crawl_records


@pytest.mark.parametrize(
    "spans, seconds",
    [
        ([(0, 2)], 2),
        ([(0, 2), (1, 3)], 3),
        ([(0, 9), (1, 3)], 9),
        ([(8, 9), (0, 2)], 3),
        ([(0, 2), (2, 3)], 3),
    ],
)
def test_seconds_are_those_in_which_a_shard_was_at_work(spans, seconds):
    assert crawl_records.covered_seconds(spans) == seconds


def write_shard(shards, number: int, messages: list[str | None], start: float, end: float) -> None:
    """The records of a shard, a success where there is no message."""
    name = f"{number:05d}"
    rows = pd.DataFrame({"url": [f"http://a/{number}/{place}" for place in range(len(messages))]})
    rows["key"] = [f"{name}{place:04d}" for place in range(len(messages))]
    rows["status"] = ["failed_to_download" if message else "success" for message in messages]
    rows["error_message"] = pd.Series(messages, dtype="string")
    rows.to_parquet(shards / f"{name}.parquet", index=False)
    (shards / f"{name}.tar").write_bytes(bytes(1_500_000))
    stats = {"count": len(messages), "start_time": start, "end_time": end}
    (shards / f"{name}_stats.json").write_text(json.dumps(stats))


LOST = "Remote end closed connection without response"


def test_outcomes_are_counted_over_shards_and_gaps(tmp_path):
    write_shard(tmp_path, 0, [None, None, LOST], 100, 103)
    write_shard(tmp_path, 1, ["HTTP Error 404: Not Found", LOST], 900, 901)
    assert crawl_records.count_outcomes(tmp_path) == {
        "urls": 5,
        "downloaded": 2,
        "success_rate": 0.4,
        "failures": {"connection_lost": 2, "http_error": 1},
        "images_per_second": 0.5,
        "seconds": 4.0,
        "megabytes": 3.0,
    }


def test_a_clock_that_was_set_back_leaves_no_rate(tmp_path):
    write_shard(tmp_path, 0, [None, None, LOST], 4_000, 100)
    counts = crawl_records.count_outcomes(tmp_path)
    assert (counts["downloaded"], counts["seconds"], counts["images_per_second"]) == (2, 0.0, 0.0)


def test_failed_rows_move_to_a_list_for_the_next_shard(tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    write_shard(shards, 0, [None, LOST], 0, 1)
    write_shard(shards, 1, ["HTTP Error 404: Not Found", LOST, LOST], 1, 2)
    again = crawl_records.write_failed(shards, tmp_path / "retries")
    crawl_records.take_out(shards, again)
    assert again.name == "00002.parquet"
    assert pd.read_parquet(again)["url"].tolist() == ["http://a/0/1", "http://a/1/1", "http://a/1/2"]
    left = [pd.read_parquet(shards / f"0000{number}.parquet")["url"].tolist() for number in range(2)]
    assert left == [["http://a/0/0"], ["http://a/1/0"]]
    assert sorted(file.name for file in shards.glob("*.par*")) == ["00000.parquet", "00001.parquet"]


def test_without_a_failure_that_may_pass_there_is_no_list(tmp_path):
    write_shard(tmp_path, 0, [None, "HTTP Error 404: Not Found"], 0, 1)
    assert crawl_records.write_failed(tmp_path, tmp_path / "retries") is None
    assert not list((tmp_path / "retries").iterdir())


def test_progress_is_shown_as_shards_appear(tmp_path, capsys):
    write_shard(tmp_path, 0, [None] * 3, 0, 1)
    with crawl_records.shown(tmp_path, 0, 5, "URLs tried"):
        write_shard(tmp_path, 1, [None] * 2, 0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[download_pairs] URLs tried")
    assert " 5/5 " in lines[-1]


def test_what_there_is_of_an_unfinished_shard_goes(tmp_path):
    for number in range(3):
        write_shard(tmp_path, number, [None], 0, 1)
    for name in ("00000_stats.json", "00001_stats.json"):
        (tmp_path / name).unlink()
    crawl_records.forget_unfinished(tmp_path, 1)
    left = ["00000.parquet", "00000.tar", "00002.parquet", "00002.tar", "00002_stats.json"]
    assert sorted(file.name for file in tmp_path.iterdir()) == left
