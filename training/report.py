"""The report of a run as one self-contained HTML file: facts, funnel, loss curves, exam, examples.

Called by the evaluate_student step; `write_report(path, content)` is all there is. This file prepares
the pictures' geometry, training/report.html lays everything out and escapes every string, because captions
and labels come from strangers. The curves are hand-made SVG that takes its colours from the page's style:
they follow light and dark, and the file depends on nothing but its content.

Left out on purpose: scripts, links to the outside, the time of writing, learning rate and scale.
"""

import math
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

LANGUAGES = {"en": "English", "zh": "Chinese"}
NOT_TERMS = ("phase", "step", "loss", "learning_rate", "scale", "rows_per_second", "data_wait_share")
MAX_POINTS = 300


@dataclass(frozen=True)
class FunnelStage:
    """One stage of the funnel: what came in, what was kept, and why the rest was not (reason to count)."""

    name: str
    num_in: int
    num_kept: int
    dropped: dict[str, int]


@dataclass(frozen=True)
class Example:
    """An exam image (PNG), its true label per language, and the five best (label, probability)."""

    image: bytes
    truth: dict[str, str]
    top5: dict[str, list[tuple[str, float]]]


@dataclass(frozen=True)
class DropSample:
    """A row that was dropped: its picture (JPEG) if there is one, its captions and its address."""

    picture: bytes | None
    captions: dict[str, str | None]
    url: str | None


@dataclass(frozen=True)
class DropSheet:
    """A few rows that one step dropped for one reason."""

    step: str
    reason: str
    samples: list[DropSample]


@dataclass(frozen=True)
class ExamTable:
    """A published exam: rows of texts below a header, and the names of sets that were skipped."""

    name: str
    header: list[str]
    rows: list[list[str]]
    skipped: list[str]


@dataclass(frozen=True)
class ReportContent:
    """All that the report shows.

    `curves` maps a training step to the points of its loss curve. `exam` holds name, num_classes,
    num_images and rows, each with a model and per language its top1 and top5; an empty one was not sat.
    """

    title: str
    about: dict[str, str]
    funnel: list[FunnelStage]
    curves: dict[str, list[dict]]
    exam: dict
    examples: list[Example]
    attributions: list[str]
    drops: list[DropSheet] = field(default_factory=list)
    exams: list[ExamTable] = field(default_factory=list)


@dataclass(frozen=True)
class Drop:
    """A drop reason's bar: where it starts and how long it is, in percent of the widest stage."""

    reason: str
    count: int
    left: float
    width: float


@dataclass(frozen=True)
class FunnelBars:
    """A stage's bar of kept rows, in percent of the widest stage, and what broke off to its right."""

    stage: FunnelStage
    width: float
    drops: list[Drop]


@dataclass(frozen=True)
class Line:
    """One line of a chart: an SVG polyline's points, and its first and last value for the legend."""

    name: str
    points: str
    first: float
    last: float


@dataclass(frozen=True)
class Chart:
    """The curve of one phase; the first line is the loss. A tick is its place and its text."""

    step: str
    phase: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class Frame:
    """The inner edges of a chart in SVG units, within `width` by `height`."""

    width: int = 340
    height: int = 216
    left: int = 42
    right: int = 326
    top: int = 10
    bottom: int = 176


FRAME = Frame()


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report to `path`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "percent": percent, "data_uri": data_uri}
    page = environment.get_template("report.html").render(
        content=content,
        languages=LANGUAGES,
        models={row["model"]: row for row in content.exam.get("rows", [])},
        funnel=draw_funnel(content.funnel),
        charts=draw_charts(content.curves),
        frame=FRAME,
        num_right={lang: [count_right(content.examples, lang, k) for k in (1, 5)] for lang in LANGUAGES},
    )
    path.write_text(page, encoding="utf-8")


def words(name: str) -> str:
    """A snake_case name as words."""
    return name.replace("_", " ")


def percent(share: float) -> str:
    """A share with one decimal; what would round to nothing says so."""
    return "<0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


def data_uri(picture: bytes, kind: str = "png") -> str:
    """A picture as the address that holds it."""
    return f"data:image/{kind};base64,{b64encode(picture).decode()}"


def count_right(examples: list[Example], lang: str, k: int) -> int:
    """How many examples have their true label among the k best."""
    return sum(example.truth[lang] in [label for label, _ in example.top5[lang][:k]] for example in examples)


def draw_funnel(stages: list[FunnelStage]) -> list[FunnelBars]:
    """Bars of all stages on one scale."""
    whole = max((stage.num_in for stage in stages), default=0) or 1
    return [FunnelBars(stage, 100 * stage.num_kept / whole, draw_drops(stage, whole)) for stage in stages]


def draw_drops(stage: FunnelStage, whole: int) -> list[Drop]:
    """The stage's drops side by side from where the kept rows end, largest first."""
    reasons = dict(stage.dropped)
    # A difference that no step explains must show, or the funnel would look complete when it is not.
    reasons["no_reason_recorded"] = stage.num_in - stage.num_kept - sum(stage.dropped.values())
    drops, start = [], stage.num_kept
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        if count > 0:
            drops.append(Drop(reason, count, 100 * start / whole, 100 * count / whole))
            start += count
    return drops


def draw_charts(curves: dict[str, list[dict]]) -> list[Chart]:
    """One chart for each phase of each step, in order of appearance."""
    charts = []
    for step, points in curves.items():
        for phase in dict.fromkeys(point["phase"] for point in points):
            charts.append(draw_chart(step, phase, [point for point in points if point["phase"] == phase]))
    return charts


def draw_chart(step: str, phase: str, points: list[dict]) -> Chart:
    """The loss by step, with its terms when there are several."""
    terms = [name for name in points[0] if name not in NOT_TERMS]
    names = ["loss", *(terms if len(terms) > 1 else [])]
    values = [point[name] for point in points for name in names]
    x_range = (points[0]["step"], points[-1]["step"])
    heights = round_ticks(min(values), max(values))
    y_range = (heights[0], heights[-1])
    steps = [tick for tick in round_ticks(*x_range, min_step=1) if x_range[0] <= tick <= x_range[1]]
    return Chart(
        step=step,
        phase=phase,
        lines=[draw_line(name, points, x_range, y_range) for name in names],
        x_ticks=[(place(tick, x_range, FRAME.left, FRAME.right), f"{tick:,.0f}") for tick in steps],
        y_ticks=[(place(tick, y_range, FRAME.bottom, FRAME.top), f"{tick:g}") for tick in heights],
    )


def draw_line(name: str, points: list[dict], x_range: tuple, y_range: tuple) -> Line:
    """One line through at most about MAX_POINTS of the points; more would not be seen."""
    stride = math.ceil(len(points) / MAX_POINTS)
    shown = [*points[::stride], points[-1]]
    places = [
        (
            place(point["step"], x_range, FRAME.left, FRAME.right),
            place(point[name], y_range, FRAME.bottom, FRAME.top),
        )
        for point in shown
    ]
    return Line(name, " ".join(f"{x},{y}" for x, y in places), points[0][name], points[-1][name])


def place(value: float, value_range: tuple[float, float], start: float, end: float) -> float:
    """Where a value lies between `start` and `end`; the middle when the range has no extent."""
    low, high = value_range
    share = (value - low) / (high - low) if high > low else 0.5
    return round(start + share * (end - start), 1)


def round_ticks(low: float, high: float, min_step: float = 0.0) -> list[float]:
    """A few round numbers that enclose the range."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = max(min_step, next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 4))
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
