"""Loss curves as SVG polylines, one chart for each phase of each training step."""

import math
from dataclasses import dataclass

from training.reporting.scales import place, round_ticks

NOT_TERMS = ("phase", "step", "loss", "learning_rate", "scale", "rows_per_second", "data_wait_share")
MAX_POINTS = 300


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
        lines=[_draw_line(name, points, x_range, y_range) for name in names],
        x_ticks=[(place(tick, x_range, FRAME.left, FRAME.right), f"{tick:,.0f}") for tick in steps],
        y_ticks=[(place(tick, y_range, FRAME.bottom, FRAME.top), f"{tick:g}") for tick in heights],
    )


def _draw_line(name: str, points: list[dict], x_range: tuple, y_range: tuple) -> Line:
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
