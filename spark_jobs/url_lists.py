"""URL lists of any layout as one frame: url, zh, en, list, malformed, line.

A line is a row and ends at a line feed: lists split anywhere, are read in parallel, and a quote that never
ends costs its own row. So a caption in CSV cannot hold a line feed; JSONL and parquet can. Blank lines are no
rows. Spark unpacks gzip and zstd by the file's suffix. Lengths are looked at before anything is searched or
parsed.

Left out on purpose: a bound on one value of a parquet file, whose pages Spark unpacks whole.
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
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType, VariantType

from spark_jobs.long_lines import MAX_LINE_BYTES, long_lines
from spark_jobs.rules import LANGUAGES

FIELDS = ("url", *LANGUAGES)
# Longer lines are no rows of captions; and Spark's CSV parser fails on a line of more columns than it was
# told to expect.
MAX_LINE_CHARS = 65_536
MAX_SHOWN_CHARS = 500
SEPARATORS = {"csv": ",", "tsv": "\t"}
# Of parquet's columns as they are read; bytes are text too.
TYPES = {"text": StringType(), "int": IntegerType(), "long": LongType()}
BAD = "_bad"
# Lines at least so long are passed over by Hadoop's reader, which would hold them in memory; long_lines finds
# them. No partitions by the names of folders: those add columns.
READING = {
    "mapreduce.input.linerecordreader.line.maxlength": str(MAX_LINE_BYTES),
    "recursiveFileLookup": "true",
}
# Characters that the CSV parser takes for its own signs (the end of its input, no escape), and what stands
# for them while it works: others that are no characters either.
SIGNS, STAND_INS = "\uffff\0", "\ufdd0\ufdd1"
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
        escape: what stands before a quote inside quotes; empty when the quote is doubled.
        line_end: of text; a carriage return before a line feed belongs to it.
        types: the columns of parquet that are read, each with one of TYPES.
        long: those of the files that may have a line of MAX_LINE_BYTES.
    """

    files: tuple[str, ...]
    format: str
    columns: tuple[str, ...]
    header: str
    wanted: dict[str, str]
    quoted: bool
    escape: str = ""
    line_end: str = "\n"
    types: tuple[tuple[str, str], ...] = ()
    long: tuple[str, ...] = ()


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
        schema = StructType([StructField(name, TYPES[kind]) for name, kind in part.types])
        rows = spark.read.schema(schema).parquet(*paths, recursiveFileLookup=True)
        values = {field: _column(name).cast("string") for field, name in part.wanted.items() if name}
        return _fields(rows, values, F.concat_ws("\t", *values.values()), F.lit(False))
    rows = spark.read.options(**READING).text(paths, lineSep=part.line_end)
    rows = rows.select(F.expr("trim(trailing '\r' from value)").alias("value")).where("trim(value) != ''")
    if part.header:
        rows = rows.where(F.col("value") != F.lit(part.header))
    short = F.length("value") <= MAX_LINE_CHARS
    rows = rows.withColumn("line", F.when(short, F.col("value")))
    parse = _parse_json if part.format == "jsonl" else _parse_quoted if part.quoted else _parse_plain
    rows, values, malformed = parse(rows, part)
    rows = _fields(rows, values, F.col("value"), ~short | malformed)
    return rows.unionByName(_too_long(spark, part)) if part.long else rows


def _column(name: str) -> Column:
    """A column by its exact name."""
    return F.col("`" + name.replace("`", "``") + "`")


def _too_long(spark: SparkSession, part: ListPart) -> DataFrame:
    """The lines that Hadoop's reader passed over, as malformed rows."""
    lines = long_lines(spark, part.long, part.line_end)
    return _fields(lines, {}, F.col("line"), F.lit(True))


def _literal(file: str) -> str:
    """A path that Spark takes as it is and not as a pattern."""
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", file)


def _fields(rows: DataFrame, values: dict[str, Column], line: Column, malformed: Column) -> DataFrame:
    """FIELDS of rows that are sound; those of bytes that are no UTF-8 or of too many are not."""
    shown = F.substring(F.make_valid_utf8(line), 1, MAX_SHOWN_CHARS)
    rows = rows.withColumn(
        "malformed", malformed | ~F.is_valid_utf8(line) | (F.length(line) > MAX_LINE_CHARS)
    )
    absent = F.lit(None).cast("string")
    sound = {field: F.when(~F.col("malformed"), values.get(field, absent)) for field in FIELDS}
    columns = {**sound, "line": F.when(F.col("malformed"), shown)}
    return rows.select(*[column.alias(name) for name, column in columns.items()], "malformed")


Parsed = tuple[DataFrame, dict[str, Column], Column]


def _parse_plain(rows: DataFrame, part: ListPart) -> Parsed:
    """Separators and nothing else."""
    rows = rows.withColumn("fields", F.split("line", SEPARATORS[part.format], len(part.columns) + 1))
    positions = {field: part.columns.index(name) for field, name in part.wanted.items() if name}
    values = {field: F.get("fields", F.lit(position)) for field, position in positions.items()}
    return rows, values, F.size("fields") != len(part.columns)


def _parse_quoted(rows: DataFrame, part: ListPart) -> Parsed:
    """Fields in double quotes, inside which a quote is two quotes (RFC 4180) or has the escape before it."""
    schema = ", ".join(f"c{position} string" for position in range(len(part.columns)))
    options = {
        "sep": SEPARATORS[part.format],
        "escape": part.escape or '"',
        "columnNameOfCorruptRecord": "bad",
    }
    options["maxColumns"] = str(MAX_LINE_CHARS + 1)
    has_signs = F.col("line").contains(SIGNS[0]) | F.col("line").contains(SIGNS[1])
    plain = F.when(has_signs, F.translate("line", SIGNS, STAND_INS)).otherwise(F.col("line"))
    # What is not quoted as it should be would be kept with its quotes, or lose the row's end.
    sound = F.when(F.col("line").contains('"'), F.col("line").rlike(quoted_line(part))).otherwise(True)
    rows = rows.withColumns({"has_signs": has_signs, "sound": sound})
    rows = rows.withColumn(
        "parsed", F.from_csv(F.when(F.col("sound"), plain), f"{schema}, bad string", options)
    )
    positions = {field: part.columns.index(name) for field, name in part.wanted.items() if name}
    values = {field: _restored(F.col(f"parsed.c{position}")) for field, position in positions.items()}
    return rows, values, ~F.col("sound") | F.col("parsed.bad").isNotNull()


def _restored(value: Column) -> Column:
    return F.when(F.col("has_signs"), F.translate(value, STAND_INS, SIGNS)).otherwise(value)


def quoted_line(part: ListPart) -> str:
    """A line each of whose fields is in quotes as they should be, or does not start with one.

    Possessive throughout: Java would else keep a way back for each character, on its stack.
    """
    separator, escape = re.escape(SEPARATORS[part.format]), re.escape(part.escape)
    inside = rf'[^"{escape}]*+(?:{escape}.[^"{escape}]*+)*+' if escape else '[^"]*+(?:""[^"]*+)*+'
    field = rf'(?:"{inside}"|(?!")[^{separator}]*+)'
    return rf"(?s)\A{field}(?:{separator}{field})*+\z"


def _parse_json(rows: DataFrame, part: ListPart) -> Parsed:
    """An object a line, whose values are text or numbers."""
    names = {field: name for field, name in part.wanted.items() if name}
    schema = StructType([StructField(name, StringType()) for name in {*names.values(), BAD}])
    rows = rows.withColumn("parsed", F.from_json("line", schema, {"columnNameOfCorruptRecord": BAD}))
    values = {field: F.col("parsed").getField(name) for field, name in names.items()}
    others = [_is_no_text(values[field], name) for field, name in names.items()]
    return rows, values, reduce(Column.__or__, others, F.col("parsed").getField(BAD).isNotNull())


def _is_no_text(value: Column, name: str) -> Column:
    """Whether a value is a list, an object or a truth, whose JSON the parser gives: texts may look so."""
    parsed = F.from_json("line", StructType([StructField(name, VariantType())])).getField(name)
    seems = value.rlike(r"\A(?:[\[{]|true\z|false\z)")
    kind = F.schema_of_variant(parsed)
    return F.coalesce(F.when(seems, kind.rlike("^(?:ARRAY|OBJECT|BOOLEAN)")), F.lit(False))


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
