"""Lines too long to be read: Hadoop's reader passes them over without counting, so they are found here.

Each file is read once more, in chunks, in which only the first and the last line end are looked for:
unpacking and this take a few percent of what the rules take, and no line is ever held.

Left out on purpose: where a long line of a plain file lies across two of Spark's tasks, Hadoop's reader may
give the end of it as a line of its own, which is one more malformed row.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

# With its end, of a line that is passed over. Captions of sane length are far below.
MAX_LINE_BYTES = 1 << 20
# A line of MAX_LINE_BYTES fills at least one chunk that holds no line end.
CHUNK_BYTES = MAX_LINE_BYTES // 2
MAX_SHOWN_BYTES = 2_000
BOM = b"\xef\xbb\xbf"


def long_lines(spark: SparkSession, files: tuple[str, ...], line_end: str) -> DataFrame:
    """The starts of the long lines of these files: `line`.

    Args:
        files: paths, packed as their suffixes say.
        line_end: one character of ASCII.
    """
    rows = spark.createDataFrame([(file,) for file in files], "file string")
    return rows.repartition(len(files)).mapInArrow(_finding(line_end.encode()), "line string")


def _finding(line_end: bytes) -> Callable:
    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch["file"].to_pylist():
                with pa.input_stream(file, compression="detect") as stream:
                    for start in starts_of_long_lines(stream, line_end):
                        text = start.decode(errors="replace")
                        yield pa.RecordBatch.from_pydict({"line": pa.array([text], pa.string())})

    return find


def starts_of_long_lines(stream: BinaryIO, line_end: bytes) -> Iterator[bytes]:
    """The first bytes of each line that has MAX_LINE_BYTES or more, its end included."""
    start, num_bytes = b"", 0
    chunk = stream.read(CHUNK_BYTES).removeprefix(BOM)
    while chunk:
        first, last = chunk.find(line_end), chunk.rfind(line_end)
        rest = len(chunk) if first < 0 else first + 1
        start += chunk[: min(rest, MAX_SHOWN_BYTES - len(start))]
        num_bytes += rest
        if first >= 0:
            if num_bytes >= MAX_LINE_BYTES:
                yield start
            start, num_bytes = chunk[last + 1 :][:MAX_SHOWN_BYTES], len(chunk) - last - 1
        chunk = stream.read(CHUNK_BYTES)
    if num_bytes >= MAX_LINE_BYTES:
        yield start
