"""Lines that no memory holds: each costs its row, wherever it lies in a file."""

import gzip
import io

import pytest

from components.list_files import look_at
from components.step import StepError
from components.url_lists import UrlList
from spark_jobs.long_lines import CHUNK_BYTES, MAX_LINE_BYTES, starts_of_long_lines
from spark_jobs.url_lists import read_lists

LONG = "http://a/long.png,"
SHORT_OF = MAX_LINE_BYTES - len(LONG) - 1


@pytest.mark.parametrize("name", ["long.csv", "long.csv.gz", "old.csv"])
def test_a_line_that_no_memory_holds_costs_its_row(spark, tmp_path, name):
    """Hadoop's reader passes over what reaches its limit; what is below is malformed by its length."""
    lines = ["url,caption", "http://a/0.png,a cat", LONG + "y" * (SHORT_OF - 1), LONG + "x" * SHORT_OF]
    lines += [LONG + "z" * (MAX_LINE_BYTES + CHUNK_BYTES // 2), "http://a/1.png,a dog"]
    content = ("\r" if name == "old.csv" else "\n").join(lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = read_lists(spark, [look_at(UrlList(str(tmp_path / name), "en"))]).collect()
    assert sorted(row["en"] for row in found if not row["malformed"]) == ["a cat", "a dog"]
    shown = sorted(row["line"][len(LONG) :] for row in found if row["malformed"])
    assert [(line[0], len(line)) for line in shown] == [(char, 500 - len(LONG)) for char in "xyz"]


@pytest.mark.parametrize("before", [0, 1, CHUNK_BYTES - 2, CHUNK_BYTES - 1, CHUNK_BYTES])
@pytest.mark.parametrize(
    "num_bytes, long", [(MAX_LINE_BYTES - 1, 0), (MAX_LINE_BYTES, 1), (5 * CHUNK_BYTES, 1)]
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n" + b"w\n" * 9])
def test_a_line_is_long_wherever_it_starts(before, num_bytes, long, end):
    line = b"x" * (num_bytes - bool(end))
    stream = io.BytesIO(b"y" * max(0, before - 1) + b"\n" * bool(before) + line + end)
    assert [start[:1] for start in starts_of_long_lines(stream, b"\n")] == [b"x"] * long


def test_a_list_whose_first_line_never_ends_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"url,caption" + b"x" * (2 << 20))
    with pytest.raises(StepError, match=r"a\.csv: its first 1,048,576 bytes have no line end"):
        look_at(UrlList(str(tmp_path / "a.csv"), "en"))
