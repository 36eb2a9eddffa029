"""The head of a list's file: which columns it has, how its lines end, and whether its captions are text."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.url_lists import Layout

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES = 1 << 20
BROKEN = "\ufffd"


@dataclass(frozen=True)
class Head:
    """What the head of a file shows.

    Attributes:
        names: of all columns, as they stand there.
        columns: of a text table, in order; empty for other formats.
        header: the line to skip, empty when there is none.
        line_end: of text, a line feed unless the file has carriage returns alone.
        types: the wanted columns of parquet that hold something, each with its type for Spark.
        long: whether a line may be longer than the head.
    """

    format: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    header: str = ""
    line_end: str = "\n"
    types: tuple[tuple[str, str], ...] = ()
    long: bool = False


def wanted_names(layout: Layout) -> set[str]:
    """The columns that a layout names."""
    return {layout.url, layout.zh, layout.en} - {""}


def text_head(file: Path, form: str, layout: Layout) -> Head:
    """The head of a CSV, TSV or JSONL file.

    Raises:
        ValueError: it has no line, a first line without an end, or captions that are no text.
    """
    if layout.names:
        return _headless(file, form, layout.names)
    head = _first_bytes(file)
    line_end, long, lines = _line_end(head), len(head) == HEAD_BYTES, _lines(head)
    if form == "jsonl":
        return Head(form, _names_in_json(lines, wanted_names(layout)), line_end=line_end, long=long)
    header = lines[0]
    if BROKEN in header:
        raise ValueError("its header line is not UTF-8")
    names = next(csv.reader([header], delimiter="\t" if form == "tsv" else ","))
    names = tuple(name.strip() for name in names)
    return Head(form, names, names, header, line_end, long=long)


def _headless(file: Path, form: str, names: tuple[str, ...]) -> Head:
    """The head of a file without a header line; nothing in it can be wrong but how it is packed."""
    try:
        head = _first_bytes(file)
    except OSError:
        # Whoever reads it whole says what is wrong with it.
        return Head(form, names, names)
    return Head(form, names, names, line_end=_line_end(head), long=len(head) == HEAD_BYTES)


def _first_bytes(file: Path) -> bytes:
    """The first HEAD_BYTES of a text file, unpacked."""
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as stream:
        return stream.read(HEAD_BYTES)


def _line_end(head: bytes) -> str:
    """Carriage returns end lines only where nothing else does."""
    return "\r" if b"\r" in head and b"\n" not in head else "\n"


def _lines(head: bytes) -> list[str]:
    """The whole lines in a file's first bytes, without blank ones.

    Raises:
        ValueError: there is no line.
    """
    line_end = _line_end(head)
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(line_end.encode()) + 1]
        if not head:
            raise ValueError(f"its first {HEAD_BYTES:,} bytes have no line end")
    lines = [line.rstrip("\r") for line in head.decode("utf-8-sig", errors="replace").split(line_end)]
    lines = [line for line in lines if line.strip(" ")]
    if not lines:
        raise ValueError("it is empty")
    return lines


def _names_in_json(lines: list[str], wanted: set[str]) -> tuple[str, ...]:
    """All names of the objects in these lines, one twice where an object has it twice.

    Raises:
        ValueError: there is no object, or a wanted column never is text but a list, an object or a truth.
    """
    names: dict[str, int] = {}
    kinds: dict[str, set[str]] = {name: set() for name in wanted}
    for row in _objects(lines):
        counts = Counter(name for name, _ in row)
        names |= {name: max(count, names.get(name, 0)) for name, count in counts.items()}
        for name, value in row:
            if name in kinds and value is not None:
                kinds[name].add(_kind(value))
    if not names:
        raise ValueError("no line of it is a JSON object")
    for name, found in sorted(kinds.items()):
        if found and "text" not in found:
            raise no_text(name, " or ".join(sorted(found)))
    return tuple(name for name, count in names.items() for _ in range(min(count, 2)))


class _Pairs(list):
    """An object's names and values, names that come twice included."""


def _objects(lines: list[str]) -> Iterator[_Pairs]:
    for line in lines:
        try:
            row = json.loads(line, object_pairs_hook=_Pairs, parse_int=str)
        except (ValueError, RecursionError):
            continue  # a row of its own reason
        if isinstance(row, _Pairs):
            yield row


def _kind(value: object) -> str:
    """A JSON value's type; numbers count as text."""
    if isinstance(value, bool):
        return "boolean"
    return "object" if isinstance(value, _Pairs) else "array" if isinstance(value, list) else "text"


def no_text(name: str, kind: str) -> ValueError:
    """The error of a column of captions or URLs that holds something else."""
    return ValueError(f"column {name} holds {kind}, not text; write one text a row, or name another column")


def parquet_head(file: Path, layout: Layout) -> Head:
    """The head of a parquet file.

    Raises:
        ValueError: a wanted column holds something that is no text.
    """
    import pyarrow.parquet as pq

    schema = pq.read_schema(file)
    wanted = wanted_names(layout)
    types = []
    # A name that is there twice is refused by all that names the file.
    for name in sorted(name for name in wanted if schema.names.count(name) == 1):
        kind = _spark_type(schema.field(name).type, is_url=name == layout.url)
        if kind:
            types.append((name, kind))
        elif not _is_empty(file, name):
            raise no_text(name, str(schema.field(name).type))
    return Head("parquet", tuple(schema.names), types=tuple(types))


def _spark_type(kind: "pa.DataType", is_url: bool) -> str:
    """The type by which Spark reads a column (spark_jobs.url_lists.TYPES), empty when it is no text.

    Whole numbers are texts, as in CSV and JSONL.
    """
    import pyarrow.types as of

    kind = kind.value_type if of.is_dictionary(kind) else kind
    if of.is_string(kind) or of.is_large_string(kind) or of.is_binary(kind) or of.is_large_binary(kind):
        return "text"
    if is_url or not of.is_integer(kind) or of.is_uint64(kind):
        return ""
    return "long" if of.is_int64(kind) or of.is_uint32(kind) else "int"


def _is_empty(file: Path, name: str) -> bool:
    """Whether a column has no value, as pandas writes a column of nothing: null, or not a number."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        batches = parquet.iter_batches(columns=[name])
        return all(batch[0].is_null(nan_is_null=True).true_count == len(batch) for batch in batches)
