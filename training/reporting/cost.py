"""What quality costs: parameters on a logarithmic axis against accuracy, ours and what others publish.

Where the run sat ImageNet-1k or ELEVATER, all figures are of that exam. Where it did not, others stand at
their ImageNet-1k figures, drawn hollow: another exam than ours, to see sizes by, not to compare heights.
"""

import math
from dataclasses import dataclass

from training.exams.settings import LANGUAGES, MODELS
from training.reporting.baselines import IMAGENET, Baselines, find_row
from training.reporting.curves import Frame
from training.reporting.scales import log_ticks, place, round_ticks

FRAME = Frame(width=360, height=300, left=36, right=340, top=12, bottom=262)
# A label beside its mark: how far in SVG units, right, left, above, below and the corners between.
OFFSETS = ((6, 3), (-6, 3), (0, -6), (0, 12), (6, -5), (-6, -5), (6, 11), (-6, 11))
LABEL_HEIGHT, CHAR_WIDTH = 10, 6


@dataclass(frozen=True)
class Yardstick:
    """The exam of the plot.

    Attributes:
        ours: percent by model and language; `published` by language and model.
        same: whether the published figures are of the same exam.
    """

    name: str
    same: bool
    ours: dict[str, dict[str, float]]
    published: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Mark:
    """A model on the plot, its place and its label's; `kind` is student, teacher or published."""

    name: str
    kind: str
    millions: float
    percent: float
    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class CostChart:
    """One language; `level` is the teacher's height where its size is not known: (place, percent)."""

    lang: str
    marks: list[Mark]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    level: tuple[float, float] | None


@dataclass(frozen=True)
class CostPlot:
    """A chart a language, and what they were measured on."""

    yardstick: str
    same: bool
    charts: list[CostChart]


def choose_yardstick(results: dict, exams: list[dict], baselines: Baselines) -> Yardstick:
    """ImageNet-1k if it was sat, else ELEVATER, else the run's own exam."""
    for kind, name in (("classification", "ImageNet-1k"), ("elevater", "ELEVATER, mean of the common sets")):
        for exam in exams:
            if exam["kind"] == kind and (found := _published_yardstick(exam, name, baselines)):
                return found
    ours = {
        model: {lang: 100 * marks[lang]["top1"] for lang in LANGUAGES}
        for model, marks in results["models"].items()
        if model in MODELS
    }
    published = {lang: _imagenet(baselines, lang) for lang in LANGUAGES}
    return Yardstick(results["exam"].replace("_", " "), False, ours, published)


def _imagenet(baselines: Baselines, lang: str) -> dict[str, float]:
    tables = [table for table in baselines.of("classification", lang) if IMAGENET in table.rows]
    return {
        name: value
        for table in tables
        for name, value in zip(table.models, table.rows[IMAGENET], strict=True)
    }


def _published_yardstick(exam: dict, name: str, baselines: Baselines) -> Yardstick | None:
    """An exam's means over the sets that all others publish too, None where there are none."""
    ours: dict[str, dict[str, float]] = {}
    published: dict[str, dict[str, float]] = {}
    for lang in LANGUAGES:
        tables = baselines.of(exam["kind"], lang)
        common = [item for item in exam["sets"] if all(table.marks_as_we(item["set"]) for table in tables)]
        own = {model: _own_mean(common, model, lang) for model in MODELS}
        if own["student"] is not None:
            for model, mean in own.items():
                ours |= {} if mean is None else {model: ours.get(model, {}) | {lang: mean}}
            published[lang] = {}
            for table in tables:
                published[lang] |= table.means([find_row(table, item["set"]) or "" for item in common])
    return Yardstick(name, True, ours, published) if published else None


def _own_mean(sets: list[dict], model: str, lang: str) -> float | None:
    """Percent, None where there is no set, or one without a figure."""
    figures = [item["figures"].get(model, {}).get(lang) for item in sets]
    values = [found and found["figure"] for found in figures]
    return None if None in values or not values else 100 * sum(values) / len(values)


def draw_cost(yardstick: Yardstick, sizes: dict[str, int | None], baselines: Baselines) -> CostPlot:
    """The plot; `sizes` are our models' parameters, None where they are not known."""
    langs = [lang for lang in LANGUAGES if lang in yardstick.ours.get("student", {})]
    charts = [_draw_chart(lang, yardstick, sizes, baselines) for lang in langs]
    return CostPlot(yardstick.name, yardstick.same, charts)


def _draw_chart(lang: str, yardstick: Yardstick, sizes: dict, baselines: Baselines) -> CostChart:
    ours = {model: row[lang] for model, row in sorted(yardstick.ours.items()) if lang in row}
    rows = [(model, model, sizes[model] / 1e6, ours[model]) for model in ours if sizes.get(model)]
    published = yardstick.published.get(lang, {})
    known = [("published", name, baselines.models[name].millions, published[name]) for name in published]
    rows += sorted(known, key=lambda row: row[2])
    ticks = log_ticks(min(row[2] for row in rows), max(row[2] for row in rows))
    heights = round_ticks(0, max(row[3] for row in rows))
    marks = _place_marks(rows, (ticks[0], ticks[-1]), (0, heights[-1]))
    level = None
    if "teacher" in ours and not sizes.get("teacher"):
        level = (place(ours["teacher"], (0, heights[-1]), FRAME.bottom, FRAME.top), ours["teacher"])
    return CostChart(
        lang=lang,
        marks=marks,
        x_ticks=[(log_place(tick, (ticks[0], ticks[-1])), f"{tick:g}") for tick in ticks],
        y_ticks=[(place(tick, (0, heights[-1]), FRAME.bottom, FRAME.top), f"{tick:g}%") for tick in heights],
        level=level,
    )


def _place_marks(rows: list[tuple], x_range: tuple[float, float], y_range: tuple[float, float]) -> list[Mark]:
    """Marks, each with its label where it covers no other; others' labels are numbers, ours their names."""
    places = [(log_place(row[2], x_range), place(row[3], y_range, FRAME.bottom, FRAME.top)) for row in rows]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    marks, number = [], 0
    for (kind, name, size, percent), (x, y) in zip(rows, places, strict=True):
        number += kind == "published"
        label = str(number) if kind == "published" else name
        label_x, label_y, anchor, box = _place_label(label, x, y, taken)
        taken.append(box)
        marks.append(Mark(name, kind, size, percent, x, y, label, label_x, label_y, anchor))
    return marks


def _place_label(label: str, x: float, y: float, taken: list[tuple]) -> tuple[float, float, str, tuple]:
    """(x, y, anchor, box) of the first place beside a mark that is free, the first of all where none is."""
    width = CHAR_WIDTH * len(label)
    found = []
    for across, down in OFFSETS:
        anchor = "start" if across > 0 else "end" if across < 0 else "middle"
        left = x + across - {"start": 0, "end": width, "middle": width / 2}[anchor]
        box = (left, y + down - LABEL_HEIGHT, left + width, y + down)
        inside = FRAME.left <= box[0] and box[2] <= FRAME.width and box[1] >= 0
        found.append((x + across, y + down, anchor, box))
        if inside and not any(_overlap(box, other) for other in taken):
            return found[-1]
    return found[0]


def _overlap(one: tuple, other: tuple) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def log_place(value: float, value_range: tuple[float, float]) -> float:
    """Where a number lies on the logarithmic axis."""
    low, high = map(math.log10, value_range)
    return place(math.log10(value), (low, high), FRAME.left, FRAME.right)
