"""URL lists of any layout as one frame: url, zh, en, list, malformed, line.

A line is a row: lists split anywhere, are read in parallel, and a quote that never ends costs its own row.
So a caption in CSV cannot hold a line break; JSONL and parquet can. Blank lines are no rows. Spark unpacks
gzip and zstd by the file's suffix.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from spark_jobs.rules import LANGUAGES

FIELDS = ("url", *LANGUAGES)
# Longer lines are no rows of captions; and Spark's CSV parser fails on a line of more columns than it was
# told to expect.
MAX_LINE_CHARS = 65_536
MAX_SHOWN_CHARS = 500
SEPARATORS = {"csv": ",", "tsv": "\t"}
BAD = "_bad"
FAILED_READ = re.compile(r"reading file (?:file:/*)?(/.*?)\.\s+SQLSTATE")
# A packed file that ends early, one that is not what its suffix says, and their like.
CAUSE = re.compile(r"Caused by: [\w.$]*?\.?(\w+(?:Exception|Error): [^\n]+|\w*EOFException)")


class UnreadableFile(Exception):
    """A list's file that Spark could not read to its end; the message is `path: reason`."""


@dataclass(frozen=True)
class ListPart:
    """Files of one list that are alike.

    Attributes:
        columns: of CSV and TSV, in order.
        header: the line to skip, empty when there is none.
        wanted: the list's column for each of FIELDS, empty where it has none.
        quoted: whether CSV's quotes are quotes.
    """

    files: tuple[str, ...]
    format: str
    columns: tuple[str, ...]
    header: str
    wanted: dict[str, str]
    quoted: bool


def read_lists(spark: SparkSession, lists: list[list[ListPart]]) -> DataFrame:
    """All rows of all lists; `list` is a list's position."""
    parts = [
        read_part(spark, part).withColumn("list", F.lit(position))
        for position, parts in enumerate(lists)
        for part in parts
    ]
    return reduce(DataFrame.unionByName, parts)


def read_part(spark: SparkSession, part: ListPart) -> DataFrame:
    """The rows of some files: FIELDS, `malformed`, and `line`, what is there of a row that is malformed."""
    paths = [_literal(file) for file in part.files]
    if part.format == "parquet":
        rows = spark.read.parquet(*paths)
        values = {field: F.col(f"`{name}`").cast("string") for field, name in part.wanted.items() if name}
        return _fields(rows, values, F.concat_ws("\t", *values.values()), F.lit(False))
    rows = spark.read.text(paths).where("trim(value) != ''")
    if part.header:
        rows = rows.where(F.col("value") != F.lit(part.header))
    parse = _parse_json if part.format == "jsonl" else _parse_quoted if part.quoted else _parse_plain
    rows, values, malformed = parse(rows, part)
    return _fields(rows, values, F.col("value"), malformed | (F.length("value") > MAX_LINE_CHARS))


def _literal(file: str) -> str:
    """A path that Spark takes as it is and not as a pattern."""
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", file)


def _fields(rows: DataFrame, values: dict[str, Column], line: Column, malformed: Column) -> DataFrame:
    """FIELDS of rows that are sound; bytes that are no UTF-8 are not."""
    shown = F.substring(F.make_valid_utf8(line), 1, MAX_SHOWN_CHARS)
    rows = rows.withColumn("malformed", malformed | ~F.is_valid_utf8(line))
    sound = {field: F.when(~F.col("malformed"), values.get(field, F.lit(None))) for field in FIELDS}
    columns = {**sound, "line": F.when(F.col("malformed"), shown)}
    return rows.select(*[column.alias(name) for name, column in columns.items()], "malformed")


Parsed = tuple[DataFrame, dict[str, Column], Column]


def _parse_plain(rows: DataFrame, part: ListPart) -> Parsed:
    """Separators and nothing else."""
    rows = rows.withColumn("fields", F.split("value", SEPARATORS[part.format], len(part.columns) + 1))
    positions = {field: part.columns.index(name) for field, name in part.wanted.items() if name}
    values = {field: F.get("fields", F.lit(position)) for field, position in positions.items()}
    return rows, values, F.size("fields") != len(part.columns)


def _parse_quoted(rows: DataFrame, part: ListPart) -> Parsed:
    """Fields in double quotes, inside which a quote is two quotes (RFC 4180)."""
    schema = ", ".join(f"c{position} string" for position in range(len(part.columns)))
    options = {"sep": SEPARATORS[part.format], "escape": '"', "maxColumns": str(MAX_LINE_CHARS + 1)}
    parsed = F.from_csv("line", f"{schema}, bad string", {**options, "columnNameOfCorruptRecord": "bad"})
    rows = rows.withColumn("line", F.when(F.length("value") <= MAX_LINE_CHARS, F.col("value")))
    rows = rows.withColumn("parsed", parsed)
    positions = {field: part.columns.index(name) for field, name in part.wanted.items() if name}
    values = {field: F.col(f"parsed.c{position}") for field, position in positions.items()}
    # The parser ends an open quote at the end of the line, as if nothing were wrong.
    num_quotes = F.length("value") - F.length(F.replace("value", F.lit('"'), F.lit("")))
    starts_quoted = F.col("value").rlike(f'(^|{SEPARATORS[part.format]})"')
    return rows, values, F.col("parsed.bad").isNotNull() | ((num_quotes % 2 == 1) & starts_quoted)


def _parse_json(rows: DataFrame, part: ListPart) -> Parsed:
    """An object a line."""
    names = {field: name for field, name in part.wanted.items() if name}
    schema = StructType([StructField(name, StringType()) for name in {*names.values(), BAD}])
    rows = rows.withColumn("parsed", F.from_json("value", schema, {"columnNameOfCorruptRecord": BAD}))
    values = {field: F.col("parsed").getField(name) for field, name in names.items()}
    return rows, values, F.col("parsed").getField(BAD).isNotNull()


@contextlib.contextmanager
def naming_unreadable_files() -> Iterator[None]:
    """Turns Spark's error about a file into one line that names it.

    Raises:
        UnreadableFile: in place of such an error.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        file = FAILED_READ.search(text)
        if not file:
            raise
        causes = CAUSE.findall(text)
        raise UnreadableFile(f"{file[1]}: {causes[-1] if causes else 'Spark cannot read it'}") from error
