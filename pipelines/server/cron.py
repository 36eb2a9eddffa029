"""Cron as Kubeflow Pipelines reads it: six fields, seconds first, in UTC.

    second  minute  hour  day of month  month  day of week
    0-59    0-59    0-23  1-31          1-12   0-6, 0 is Sunday

The scheduler is Go's robfig/cron 1 (https://pkg.go.dev/github.com/robfig/cron): `*` or `?`, `a`, `a-b`,
each with `/step`, in lists with `,`; names `JAN`, `SUN`. It reads the usual five fields as seconds first and
no day of week, so that `0 2 * * *` runs at two minutes past every hour (kubeflow/pipelines issue 2318,
kubeflow/kubeflow issue 5306): here five fields get their second, 0, before they are sent. No library of
Python reads this dialect.

Left out on purpose: `@every`, which is KFP's other kind of trigger.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from components.step import StepError


@dataclass(frozen=True)
class Field:
    """One field: what it may hold, and names that stand for numbers, from `low` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 6, WEEKDAYS),
)
SHORTHANDS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
EXAMPLE = "for example '0 2 * * SUN', Sundays at 02:00 UTC"
# A leap day comes within eight years, also across a century's end.
HORIZON_DAYS = 8 * 366 + 1


@dataclass(frozen=True)
class Cron:
    """A schedule: six fields as text, and the numbers that each allows."""

    text: str
    allowed: tuple[frozenset[int], ...]

    def fits_day(self, day: date) -> bool:
        """Whether it runs on that day; with both kinds of day given, either is enough, as in every cron."""
        _, _, _, days, months, weekdays = self.allowed
        if day.month not in months:
            return False
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        parts = f"{self.text.split()[3]},{self.text.split()[5]}".split(",")
        return all(fits) if any(part[0] in "*?" for part in parts) else any(fits)

    def times(self, after: datetime) -> Iterator[datetime]:
        """When it runs after a time, in UTC; nothing if it never does."""
        seconds, minutes, hours = (sorted(numbers) for numbers in self.allowed[:3])
        for number in range(HORIZON_DAYS):
            day = after.date() + timedelta(number)
            if self.fits_day(day):
                for hour, minute, second in itertools.product(hours, minutes, seconds):
                    time = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)
                    if time > after:
                        yield time


def read_cron(text: str) -> Cron:
    """A schedule from six fields, five (the second is 0) or a word such as @weekly.

    Raises:
        StepError: it is none, never runs, or runs more than once a minute; the message says what is wrong.
    """
    fields = SHORTHANDS.get(text.strip().lower(), text).split()
    if text.lstrip().startswith("@") and len(fields) != 6:
        raise StepError(f"cron {text!r} is not known; there is {', '.join(SHORTHANDS)}, or fields, {EXAMPLE}")
    if len(fields) not in (5, 6):
        names = ", ".join(field.name for field in FIELDS)
        raise StepError(f"cron {text!r} has {len(fields)} fields; give six ({names}) or five, {EXAMPLE}")
    fields = ["0"] * (len(fields) == 5) + fields
    cron = Cron(" ".join(fields), tuple(map(_numbers, FIELDS, fields, [text] * 6)))
    if len(cron.allowed[0]) > 1:
        raise StepError(
            f"cron {text!r} runs {len(cron.allowed[0])} times a minute: of six fields the first is the "
            "second, put 0 there"
        )
    if next(cron.times(datetime.now(UTC)), None) is None:
        raise StepError(f"cron {text!r} never runs: there is no such day")
    return cron


def explain(cron: Cron, after: datetime) -> str:
    """The next three times, for a person to see whether that is what was meant."""
    times = [format(time, "%a %Y-%m-%d %H:%M:%S") for time in itertools.islice(cron.times(after), 3)]
    return f"{', '.join(times)} UTC"


def _numbers(field: Field, text: str, whole: str) -> frozenset[int]:
    """What one field allows."""
    return frozenset(number for part in text.split(",") for number in _range(field, part, whole))


def _range(field: Field, part: str, whole: str) -> range:
    """A part between commas: `*`, `a` or `a-b`, each with `/step`; `a/step` goes to the field's end."""
    bounds, slash, step = part.partition("/")
    first, dash, last = bounds.partition("-")
    if bounds in ("*", "?"):
        low, high = field.low, field.high
    else:
        low = _number(field, first, whole)
        high = _number(field, last, whole) if dash else field.high if slash else low
    if slash and not (step.isdecimal() and int(step)):
        raise StepError(f"cron {whole!r}: {part!r} is no step; write */N")
    if low > high:
        raise StepError(f"cron {whole!r}: {part!r} goes backwards")
    return range(low, high + 1, int(step) if slash else 1)


def _number(field: Field, text: str, whole: str) -> int:
    """A number of a field, or what a name stands for."""
    if text.upper() in field.names:
        return field.names.index(text.upper()) + field.low
    if text.isascii() and text.isdecimal() and field.low <= int(text) <= field.high:
        return int(text)
    hint = "; Sunday is 0" if field.names and field.low == 0 and text == "7" else ""
    raise StepError(
        f"cron {whole!r}: {text!r} is no {field.name}, which goes from {field.low} to {field.high}{hint}"
    )
