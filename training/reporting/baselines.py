"""Other models' published figures: beside ours where the exam is the same, in a table of their own elsewhere.

They are in baselines.toml, each with the paper or repository that it was found in. DC-CLIP's own (arXiv
2404.11249) were not found, so it has a row without figures.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from training.exams.finding import PREFIX, names_of
from training.exams.results import exam_cells
from training.exams.results import table as own_table
from training.exams.settings import LANGUAGES

FILE = "baselines.toml"
IMAGENET = "imagenet1k"
RETRIEVAL = "retrieval"


@dataclass(frozen=True)
class Model:
    """A published model: parameters in millions of both towers, and where that number is from."""

    name: str
    millions: float
    found_in: str


@dataclass(frozen=True)
class Table:
    """Figures of one source in percent, by row (a set, or a set and what is measured) and then model.

    `other_metric` are rows that the source marks by another metric than our exam.
    """

    exam: str
    lang: str
    source: str
    models: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    other_metric: tuple[str, ...] = ()

    def means(self, rows: list[str]) -> dict[str, float]:
        """Each model's mean over these rows."""
        columns = zip(*(self.rows[row] for row in rows), strict=True)
        return {name: sum(column) / len(column) for name, column in zip(self.models, columns, strict=True)}


@dataclass(frozen=True)
class Baselines:
    """All that is in the file; `sources` by their short names."""

    sources: dict[str, str]
    models: dict[str, Model]
    tables: tuple[Table, ...]

    def of(self, exam: str, lang: str) -> list[Table]:
        """The tables of an exam in a language."""
        return [table for table in self.tables if (table.exam, table.lang) == (exam, lang)]


@dataclass(frozen=True)
class Comparison:
    """An exam's table with published columns after ours, the notes below it, and the sets that were skipped.

    `num_own` is the number of columns, after the first, that are ours. A row is its texts.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    num_own: int
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@cache
def load_baselines() -> Baselines:
    """The figures of baselines.toml.

    Raises:
        ValueError: a figure there has no source, or its model no parameters.
    """
    raw = tomllib.loads((Path(__file__).parent / FILE).read_text(encoding="utf-8"))
    models = {name: Model(name, item["millions"], item["from"]) for name, item in raw["models"].items()}
    tables = tuple(_table(item) for item in raw["tables"])
    sources = raw["sources"]
    lacking = {table.source for table in tables} | {model.found_in for model in models.values()}
    if lacking := lacking - set(sources):
        raise ValueError(f"{FILE} names sources that it does not have: {', '.join(sorted(lacking))}")
    if lacking := {name for table in tables for name in table.models} - set(models):
        raise ValueError(f"{FILE} has no parameters of {', '.join(sorted(lacking))}")
    return Baselines(sources, models, tables)


def _table(item: dict) -> Table:
    rows = {name: tuple(values) for name, values in item["rows"].items()}
    if wrong := [name for name, values in rows.items() if len(values) != len(item["models"])]:
        raise ValueError(f"{FILE}: {wrong[0]} should have a figure of each of {', '.join(item['models'])}")
    rest = {"models": tuple(item["models"]), "other_metric": tuple(item.get("other_metric", ()))}
    return Table(**{key: item[key] for key in ("exam", "lang", "source")}, rows=rows, **rest)


def compare(exam: dict, baselines: Baselines) -> Comparison:
    """An exam of training/exams with the columns of those who publish figures of its sets.

    Args:
        exam: a result of `training.exams.sitting.sit_exam`.
    """
    header, rows = own_table(exam)
    measured = [row[1] if exam["kind"] == RETRIEVAL else "" for row in rows]
    columns, used = [], []
    languages = dict.fromkeys(lang for _, lang in exam_cells(exam))
    for table in (table for lang in languages for table in baselines.of(exam["kind"], lang)):
        found = [find_row(table, row[0], what) for row, what in zip(rows, measured, strict=True)]
        if any(found):
            used.append(table)
            columns += _columns(table, found)
    return Comparison(
        name=exam["name"],
        header=[*header, *(name for name, _ in columns)],
        rows=[[*row, *(cells[at] for _, cells in columns)] for at, row in enumerate(rows)],
        num_own=len(header) - 1,
        notes=_notes(used, baselines),
        skipped=[item["set"] for item in exam["skipped"]],
    )


def find_row(table: Table, name: str, measured: str = "") -> str | None:
    """The table's row of a set, whatever the set's folder is called; None where there is none.

    Args:
        measured: what is measured of the set, where a table has several rows of it.
    """
    wanted = set(names_of(PREFIX.sub("", name)))
    for row in table.rows:
        if row.endswith(measured) and wanted & set(names_of(row.removesuffix(measured).strip())):
            return row
    return None


def _columns(table: Table, found: list[str | None]) -> list[tuple[str, list[str]]]:
    """(header, cells) of each model of a table, in the order of our rows."""

    def cell(row: str | None, at: int) -> str:
        mark = "†" if row in table.other_metric else ""
        return f"{table.rows[row][at]:.1f}{mark}" if row else "–"

    return [
        (f"{name} {table.lang}", [cell(row, at) for row in found]) for at, name in enumerate(table.models)
    ]


def _notes(tables: list[Table], baselines: Baselines) -> list[str]:
    if not tables:
        return ["No published figures of these sets are known to this report."]
    sources = dict.fromkeys(f"{', '.join(t.models)}: {baselines.sources[t.source]}." for t in tables)
    marked = any(table.other_metric for table in tables)
    return [*sources, *(["† marked by another metric there, not comparable."] if marked else [])]


def elsewhere(baselines: Baselines) -> Comparison:
    """What others publish of ImageNet-1k and ELEVATER, for a run that sat neither: another exam than ours."""
    names = sorted(baselines.models, key=lambda name: baselines.models[name].millions)
    header = ["model", "million parameters"]
    header += [f"{exam} {lang}" for exam in ("ImageNet-1k", "ELEVATER mean (sets)") for lang in LANGUAGES]
    cells = {name: [f"{baselines.models[name].millions:g}", "–", "–", "–", "–"] for name in names}
    for column, lang in enumerate(LANGUAGES, start=1):
        for table in baselines.of("classification", lang):
            for name, value in zip(table.models, table.rows[IMAGENET], strict=True):
                cells[name][column] = f"{value:.1f}"
        for table in (*baselines.of("elevater", lang), *baselines.of("elevater_mean", lang)):
            num = len(table.rows) if table.exam == "elevater" else 20
            for name, value in table.means(list(table.rows)).items():
                cells[name][column + 2] = f"{value:.1f} ({num})"
    rows = [[name, *cells[name]] for name in names]
    rows.append(["DC-CLIP (the paper)", *["not found"] * 5])
    notes = [f"{text}." for text in baselines.sources.values()]
    return Comparison("Published figures of other exams", header, rows, num_own=0, notes=notes)
