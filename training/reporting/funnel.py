"""The funnel's bars: what each step kept, and what it left out for which reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FunnelStage:
    """One stage of the funnel: what came in, what was kept, and why the rest was not (reason to count)."""

    name: str
    num_in: int
    num_kept: int
    dropped: dict[str, int]


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


def funnel_stages(raw: dict, pairs: dict, selection: dict) -> list[FunnelStage]:
    """The stages from the facts of download_pairs, filter_pairs and select_pairs."""
    lists = {**raw["dropped"], "joined_by_url": raw["joined_by_url"]}
    return [
        FunnelStage("url_lists", raw["rows"], raw["urls"], lists),
        FunnelStage("filter_pairs", pairs["input"], pairs["kept"], pairs["dropped"]),
        FunnelStage("select_pairs", selection["input"], selection["kept"], selection["dropped"]),
    ]


def draw_funnel(stages: list[FunnelStage]) -> list[FunnelBars]:
    """Bars of all stages on one scale."""
    whole = max((stage.num_in for stage in stages), default=0) or 1
    return [FunnelBars(stage, 100 * stage.num_kept / whole, _draw_drops(stage, whole)) for stage in stages]


def _draw_drops(stage: FunnelStage, whole: int) -> list[Drop]:
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
