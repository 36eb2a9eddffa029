"""A URL list's files before Spark reads them: which they are, their format, their columns.

Only the head of a file is read. What can be wrong with a list as a whole is found here, in seconds and with
the file's name: nothing there, an unknown format, a column that is missing.
"""

import contextlib
import csv
import glob
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from components.step import StepError
from components.url_lists import Layout, UrlList

if TYPE_CHECKING:
    from spark_jobs.url_lists import ListPart

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
PACKED = (".gz", ".zst")
HEAD_BYTES = 1 << 20
BROKEN = "\ufffd"


def find_files(source: UrlList) -> list[Path]:
    """The files of a list in order of their names; below a folder those of a known format.

    Raises:
        StepError: there are none.
    """
    path = Path(source.path)
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else map(Path, glob.glob(source.path, recursive=True))
    files = [file for file in found if file.is_file() and not file.name.startswith((".", "_"))]
    if path.is_dir() and not source.columns.format:
        files = [file for file in files if _format_by_suffix(file)]
    if not files:
        reason = "the folder holds no list" if path.is_dir() else "No such file, and no file fits the pattern"
        raise unreadable(path, reason)
    return sorted(files)


def unreadable(path: Path, reason: object) -> StepError:
    """The error of a list that cannot be read, in one line."""
    return StepError(f"cannot read the URL list {path}: {str(reason).strip().splitlines()[0]}")


def _format_by_suffix(file: Path) -> str | None:
    """The format that a name speaks of, None when it speaks of none."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def look_at(source: UrlList) -> list["ListPart"]:
    """The list's files in parts that are alike, for Spark.

    Raises:
        StepError: a file is missing, unreadable, of no known format or lacks a column.
    """
    from spark_jobs.url_lists import ListPart

    layout = source.columns
    groups: dict[tuple, list[Path]] = {}
    for file in find_files(source):
        if file.stat().st_size:
            groups.setdefault(_describe(file, layout), []).append(file)
    if not groups:
        raise unreadable(Path(source.path), "it is empty")
    return [
        ListPart(
            files=tuple(map(str, files)),
            format=form,
            columns=columns,
            header=header,
            wanted={"url": layout.url, "zh": layout.zh, "en": layout.en},
            quoted=form == "csv" if layout.quoted is None else layout.quoted,
        )
        for (form, columns, header), files in groups.items()
    ]


def _describe(file: Path, layout: Layout) -> tuple[str, tuple[str, ...], str]:
    """(format, columns of a text table, its header line) of a file, whose columns are checked."""
    form = layout.format or _format_by_suffix(file)
    if form not in FORMATS.values():
        known = ", ".join(sorted(set(FORMATS.values())))
        raise unreadable(file, f"its suffix tells no format; name one in the layout: {known}")
    try:
        columns, header = _columns_of(file, form, layout)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise unreadable(file, error) from error
    missing = {layout.url, layout.zh, layout.en} - {""} - set(columns)
    if missing:
        raise unreadable(file, f"no column {', '.join(sorted(missing))}; it has {', '.join(columns)}")
    return form, columns if form in ("csv", "tsv") else (), header


def _columns_of(file: Path, form: str, layout: Layout) -> tuple[tuple[str, ...], str]:
    """(columns, header line) of a file; the line is empty when there is none."""
    if form == "parquet":
        import pyarrow.parquet as pq

        return tuple(pq.read_schema(file).names), ""
    if form == "jsonl":
        return _names_in_json(_head(file)), ""
    if layout.names:
        return layout.names, ""
    header = _head(file)[0]
    if BROKEN in header:
        raise ValueError("its header line is not UTF-8")
    names = next(csv.reader([header], delimiter="\t" if form == "tsv" else ","))
    return tuple(name.strip() for name in names), header


def _names_in_json(lines: list[str]) -> tuple[str, ...]:
    """All names of the objects in these lines; a row may leave out what it lacks.

    Raises:
        ValueError: there is no object.
    """
    names: dict[str, None] = {}
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            names |= dict.fromkeys(row if isinstance(row, dict) else ())
    if not names:
        raise ValueError("no line of it is a JSON object")
    return tuple(names)


def _head(file: Path) -> list[str]:
    """The first whole lines of a text file, unpacked, blank ones left out.

    Raises:
        ValueError: there is no line.
    """
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as stream:
        head = stream.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    lines = re.split(r"\r\n|\n|\r", head.decode("utf-8-sig", errors="replace"))
    lines = [line for line in lines if line.strip(" ")]
    if not lines:
        raise ValueError("it is empty")
    return lines
