"""The challenger beside the champion, and what the gate decided (training/gate.py)."""

from dataclasses import dataclass

from training.gate import MEAN

LANGUAGES = {"en": "English", "zh": "Chinese", MEAN: "Mean"}


@dataclass(frozen=True)
class Interval:
    """A difference in points with its 95% interval, and where they lie on a bar, in percent of its width."""

    value: float
    low: float
    high: float
    at: float
    left: float
    width: float


@dataclass(frozen=True)
class Row:
    """A language, or their mean: top-1 of the new version and of the other one, and their difference."""

    name: str
    new: float
    old: float | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class Decision:
    """What became of a version.

    Attributes:
        rival: the number of the version that it was compared with, None where there was none to compare.
        sizes: parameters of the new version and of the rival in millions.
        zero: where no difference lies on the bars; `floor` where the most that a language may lose lies.
    """

    model: str
    version: int
    alias: str
    reason: str
    margin: float
    rows: list[Row]
    rival: int | None = None
    sizes: tuple[str, str] = ("", "")
    zero: float = 0.0
    floor: float = 0.0


def read_decision(registered: dict, top1: dict[str, float], parameters: int, margin: float) -> Decision:
    """What registering gave, with the figures of both versions.

    Args:
        registered: what `training.registry.register` returns.
        top1: the new version's by language; `parameters` its number of them.
        margin: by how much a language may be worse, a share of 1.
    """
    base = {key: registered[key] for key in ("model", "alias", "reason")}
    base |= {"version": int(registered["version"]), "margin": 100 * margin}
    new = top1 | {MEAN: sum(top1.values()) / len(top1)}
    compared = registered.get("comparison")
    if not compared:
        return Decision(**base, rows=[Row(shown, new[name]) for name, shown in LANGUAGES.items()])
    differences = compared["differences"]
    reach = max([margin, *(abs(edge) for found in differences.values() for edge in found.values())]) * 1.08
    rows = [
        Row(shown, new[name], new[name] - differences[name]["value"], _interval(differences[name], reach))
        for name, shown in LANGUAGES.items()
    ]
    old = compared.get("parameters")
    return Decision(
        **base,
        rows=rows,
        rival=int(compared["version"]),
        sizes=(_millions(parameters), _millions(float(old)) if old else "not recorded"),
        zero=50.0,
        floor=_place(-margin, reach),
    )


def _millions(parameters: float) -> str:
    return f"{parameters / 1e6:.1f}"


def _interval(found: dict[str, float], reach: float) -> Interval:
    value, low, high = (found[key] for key in ("value", "low", "high"))
    left = _place(low, reach)
    places = {"at": _place(value, reach), "left": left, "width": _place(high, reach) - left}
    return Interval(100 * value, 100 * low, 100 * high, **places)


def _place(difference: float, reach: float) -> float:
    """Where a difference lies on a bar that goes from -reach to reach, in percent."""
    return 50 * (1 + difference / reach)
