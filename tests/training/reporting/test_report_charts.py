"""The report's charts: funnel bars, loss curves, ticks."""

import pytest
from toy_report import points

from training.reporting.curves import draw_chart
from training.reporting.funnel import FunnelStage, draw_funnel
from training.reporting.scales import log_ticks, place, round_ticks


def test_funnel_drops_follow_the_kept_rows_largest_first():
    (bars,) = draw_funnel([FunnelStage("filter_pairs", 200, 100, {"few": 20, "many": 80})])
    assert bars.width == 50
    assert [(drop.reason, drop.left, drop.width) for drop in bars.drops] == [
        ("many", 50, 40),
        ("few", 90, 10),
    ]


def test_funnel_shows_rows_that_no_reason_explains():
    (bars,) = draw_funnel([FunnelStage("filter_pairs", 10, 5, {"few": 2})])
    assert [(drop.reason, drop.count) for drop in bars.drops] == [("no_reason_recorded", 3), ("few", 2)]


def test_chart_draws_terms_only_when_there_are_several():
    def names(terms):
        return [line.name for line in draw_chart("align", "both", points("both", terms)).lines]

    assert names(["contrastive"]) == ["loss"]
    assert names(["zh", "en"]) == ["loss", "zh", "en"]


def test_chart_thins_long_curves_but_keeps_both_ends():
    chart = draw_chart("align", "both", points("both", [], num=5000))
    places = chart.lines[0].points.split()
    assert len(places) < 400
    assert (places[0].split(",")[0], places[-1].split(",")[0]) == ("42.0", "326.0")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.3, 3.9, [0, 1, 2, 3, 4]), (0, 2999, [0, 1000, 2000, 3000]), (-0.4, 0.2, [-0.4, -0.2, 0, 0.2])],
)
def test_ticks_are_round_and_enclose(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (10.1, 1193, [10, 30, 100, 300, 1000, 3000]),
        (30, 30, [30, 100]),
        (0.02, 0.5, [0.01, 0.03, 0.1, 0.3, 1]),
    ],
)
def test_ticks_of_a_logarithmic_axis_enclose(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_a_range_without_extent_is_drawn_in_the_middle():
    assert place(3, (3, 3), 10, 20) == 15
