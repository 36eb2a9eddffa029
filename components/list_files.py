"""A URL list's files before Spark reads them: which they are, their format, their columns.

Only the head of a file is read (components.list_heads). What can be wrong with a list as a whole is found
here, in seconds and with the file's name: nothing there, an unknown format, a column that is missing, there
twice, or no text. Names of columns are told apart by case.
"""

import csv
import glob
from pathlib import Path
from typing import TYPE_CHECKING

from components.list_heads import Head, parquet_head, text_head, wanted_names
from components.step import StepError
from components.url_lists import Layout, UrlList

if TYPE_CHECKING:
    from spark_jobs.url_lists import ListPart

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
PACKED = (".gz", ".zst")
# Those whose rows name their columns; a row may leave one out.
NAMING_FORMATS = ("jsonl", "parquet")


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

    A file of parquet or JSONL may lack a column of captions, or have it empty, where another file has it.

    Raises:
        StepError: a file is missing, unreadable, of no known format, lacks a column, has one twice or one
            that is no text.
    """
    layout = source.columns
    heads = {file: _describe(file, layout) for file in find_files(source) if file.stat().st_size}
    if not heads:
        raise unreadable(Path(source.path), "it is empty")
    named = {name for head in heads.values() if head.format in NAMING_FORMATS for name in head.names}
    for file, head in heads.items():
        optional = named - {layout.url} if head.format in NAMING_FORMATS else set()
        _check_columns(file, head.names, wanted_names(layout), optional)
    groups: dict[tuple, list[Path]] = {}
    for file, head in heads.items():
        groups.setdefault((head.format, head.columns, head.header, head.line_end, head.types), []).append(
            file
        )
    return [_part(files, heads, layout) for files in groups.values()]


def _part(files: list[Path], heads: dict[Path, Head], layout: Layout) -> "ListPart":
    from spark_jobs.url_lists import ListPart

    head = heads[files[0]]
    wanted = {"url": layout.url, "zh": layout.zh, "en": layout.en}
    if head.format == "parquet":
        there = [name for name, _ in head.types]
        wanted = {field: name if name in there else "" for field, name in wanted.items()}
    return ListPart(
        files=tuple(map(str, files)),
        format=head.format,
        columns=head.columns,
        header=head.header,
        wanted=wanted,
        quoted=head.format == "csv" if layout.quoted is None else layout.quoted,
        escape=layout.escape,
        line_end=head.line_end,
        types=head.types,
        long=tuple(str(file) for file in files if heads[file].long),
    )


def _describe(file: Path, layout: Layout) -> Head:
    """What a file's head shows."""
    form = layout.format or _format_by_suffix(file)
    if form not in FORMATS.values():
        known = ", ".join(sorted(set(FORMATS.values())))
        raise unreadable(file, f"its suffix tells no format; name one in the layout: {known}")
    try:
        if form == "parquet":
            return parquet_head(file, layout)
        return text_head(file, form, layout)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise unreadable(file, error) from error


def _check_columns(file: Path, names: tuple[str, ...], wanted: set[str], optional: set[str]) -> None:
    """Raises StepError where a wanted column is not there, or there twice."""
    missing = wanted - set(names) - optional
    if missing:
        raise unreadable(file, f"no column {', '.join(sorted(missing))}; it has {', '.join(names)}")
    twice = sorted(name for name in wanted if names.count(name) > 1)
    if twice:
        raise unreadable(file, f"more than one column {', '.join(twice)}; it has {', '.join(names)}")
