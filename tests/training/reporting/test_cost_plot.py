"""Cost against quality: which exam it is on, where marks and labels go, a teacher of unknown size."""

import itertools

import pytest
from toy_report import RESULTS, sat

from training.reporting.baselines import load_baselines
from training.reporting.cost import FRAME, choose_yardstick, draw_cost

SIZES = {"student": 10_000_000, "teacher": 124_000_000}


@pytest.fixture(scope="module")
def baselines():
    return load_baselines()


def test_the_runs_own_exam_has_others_at_another_exam(baselines):
    plot = draw_cost(choose_yardstick(RESULTS, [], baselines), SIZES, baselines)
    assert (plot.yardstick, plot.same) == ("colours", False)
    assert [chart.lang for chart in plot.charts] == ["en", "zh"]
    english = {mark.name: mark for mark in plot.charts[0].marks}
    assert (english["student"].millions, english["student"].percent) == (10, pytest.approx(29))
    assert english["AltCLIP"].percent == 74.5
    assert "Chinese-CLIP RN50" not in english
    assert "Chinese-CLIP RN50" in {mark.name for mark in plot.charts[1].marks}


def test_imagenet_is_the_yardstick_where_it_was_sat(baselines):
    exams = [sat("elevater", {"cifar-10": 0.5}), sat("classification", {"imagenet1k": 0.6, "holidays": 0.1})]
    found = choose_yardstick(RESULTS, exams, baselines)
    assert (found.name, found.same) == ("ImageNet-1k", True)
    assert found.ours["student"] == {"en": 60, "zh": 60}
    assert found.published["zh"]["AltCLIP"] == 59.6


def test_elevater_means_are_over_the_sets_that_all_have(baselines):
    sets = {"cifar-10": 0.5, "fer-2013": 0.25, "voc-2007-classification": 0.75}
    found = choose_yardstick(RESULTS, [sat("elevater", sets)], baselines)
    assert found.ours["student"] == {"en": 50, "zh": pytest.approx(50)}
    assert found.published["en"]["CLIP ViT-B/32"] == 89.8
    assert found.published["zh"]["Chinese-CLIP RN50"] == pytest.approx((72.7 + 21.9 + 82.1) / 3)


def test_sets_that_nobody_publishes_leave_the_own_exam(baselines):
    assert not choose_yardstick(RESULTS, [sat("classification", {"holidays": 0.5})], baselines).same


def test_a_teacher_of_unknown_size_is_a_line(baselines):
    sizes = SIZES | {"teacher": None}
    plot = draw_cost(choose_yardstick(RESULTS, [], baselines), sizes, baselines)
    assert "teacher" not in {mark.kind for mark in plot.charts[0].marks}
    assert plot.charts[0].level[1] == pytest.approx(29)
    assert FRAME.top < plot.charts[0].level[0] < FRAME.bottom


def test_marks_are_inside_and_labels_cover_no_other_label(baselines):
    plot = draw_cost(choose_yardstick(RESULTS, [], baselines), SIZES, baselines)
    for chart in plot.charts:
        for mark in chart.marks:
            assert FRAME.left <= mark.x <= FRAME.right
            assert FRAME.top <= mark.y <= FRAME.bottom
        corners = [(mark.label_x, mark.label_y) for mark in chart.marks]
        for (x, y), (other_x, other_y) in itertools.combinations(corners, 2):
            assert abs(x - other_x) > 5 or abs(y - other_y) >= 9
