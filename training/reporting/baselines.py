"""Other models' published figures in baselines.toml, each with the paper or repository it was found in.

Those of DC-CLIP itself (arXiv 2404.11249) were not found, and are not there.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training.exams.finding import PREFIX, names_of

FILE = "baselines.toml"
IMAGENET = "imagenet1k"


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

    def marks_as_we(self, name: str) -> bool:
        """Whether it has figures of a set, by the metric of our exam."""
        row = find_row(self, name)
        return row is not None and row not in self.other_metric


@dataclass(frozen=True)
class Baselines:
    """All that is in the file; `sources` by their short names."""

    sources: dict[str, str]
    models: dict[str, Model]
    tables: tuple[Table, ...]

    def of(self, exam: str, lang: str) -> list[Table]:
        """The tables of an exam in a language."""
        return [table for table in self.tables if (table.exam, table.lang) == (exam, lang)]


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
