"""An exam beside others' published figures, and what they publish of other exams."""

from dataclasses import dataclass, field

from training.exams.results import exam_cells, notes
from training.exams.results import table as own_table
from training.exams.settings import LANGUAGES
from training.reporting.baselines import IMAGENET, Baselines, Table, find_row

RETRIEVAL = "retrieval"


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


def compare(exam: dict, baselines: Baselines) -> Comparison:
    """An exam of training/exams with the columns of those who publish figures of its sets.

    Args:
        exam: a result of `training.exams.sitting.sit_exam`.
    """
    header, rows = own_table(exam)
    of_sets = rows[: len(rows) - len(exam["averages"])]
    measured = [row[1] if exam["kind"] == RETRIEVAL else "" for row in of_sets]
    columns, used = [], []
    languages = dict.fromkeys(lang for _, lang in exam_cells(exam))
    for table in (table for lang in languages for table in baselines.of(exam["kind"], lang)):
        found = [find_row(table, row[0], what) for row, what in zip(of_sets, measured, strict=True)]
        if any(found):
            used.append(table)
            columns += _columns(table, found, _means(table, exam))
    return Comparison(
        name=exam["name"],
        header=[*header, *(name for name, _ in columns)],
        rows=[[*row, *(cells[at] for _, cells in columns)] for at, row in enumerate(rows)],
        num_own=len(header) - 1,
        notes=[*_notes(used, baselines), *notes(exam)],
        skipped=[item["set"] for item in exam["skipped"]],
    )


def _means(table: Table, exam: dict) -> list[dict[str, float]]:
    """Each model's means beside ours, in their order; empty where the table lacks one of the sets."""
    chosen = {
        "all": [item["set"] for item in exam["sets"]],
        "without_near_chance": [item["set"] for item in exam["sets"] if not item["near_chance"]],
    }
    names = [chosen[name] for name in exam["averages"]]
    return [
        table.means([find_row(table, name) or "" for name in sets])
        if sets and all(map(table.marks_as_we, sets))
        else {}
        for sets in names
    ]


def _columns(
    table: Table, found: list[str | None], means: list[dict[str, float]]
) -> list[tuple[str, list[str]]]:
    """(header, cells) of each model of a table, in the order of our rows: sets, then means."""

    def cell(row: str | None, at: int) -> str:
        mark = "†" if row in table.other_metric else ""
        return f"{table.rows[row][at]:.1f}{mark}" if row else "–"

    return [
        (
            f"{name} {table.lang}",
            [cell(row, at) for row in found]
            + [f"{mean[name]:.1f}" if name in mean else "–" for mean in means],
        )
        for at, name in enumerate(table.models)
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
