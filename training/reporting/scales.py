"""Numbers to places on a chart, and round numbers for its axes."""

import math


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


def log_ticks(low: float, high: float) -> list[float]:
    """Numbers 1, 3, 10, 30 and so on that enclose a range above zero."""
    steps = [factor * 10.0**power for power in range(-3, 16) for factor in (1, 3)]
    first = max(at for at, step in enumerate(steps) if step <= max(low, steps[0]))
    last = min(at for at, step in enumerate(steps) if step >= min(high, steps[-1]))
    return steps[first : max(last, first + 1) + 1]
