"""Published figures: that the file agrees with itself and the papers, and where they stand beside ours."""

import pytest
from toy_report import sat

from training.elevater import ELEVATER
from training.reporting.baselines import find_row, load_baselines
from training.reporting.comparisons import compare, elsewhere


@pytest.fixture(scope="module")
def baselines():
    return load_baselines()


def test_every_set_of_elevater_is_one_of_ours(baselines):
    for table in baselines.tables:
        if table.exam == "elevater":
            assert set(table.rows) <= set(ELEVATER)


def test_means_are_those_that_the_papers_print(baselines):
    (table,) = baselines.of("elevater", "zh")
    means = table.means(list(table.rows))
    printed = {"RN50": 40.9, "ViT-B/16": 53.5, "ViT-L/14": 60.0, "ViT-L/14@336": 60.2, "ViT-H/14": 62.3}
    for name, mean in printed.items():
        assert means[f"Chinese-CLIP {name}"] == pytest.approx(mean, abs=0.06)


def test_every_figure_is_a_percentage_with_a_source(baselines):
    for table in baselines.tables:
        assert baselines.sources[table.source]
        assert all(0 < value < 100 for row in table.rows.values() for value in row)


@pytest.mark.parametrize(
    ("exam", "lang", "name", "measured", "row"),
    [
        ("classification", "en", "wds_imagenet1k", "", "imagenet1k"),
        ("classification", "zh", "ImageNet-1k", "", "imagenet1k"),
        ("elevater", "zh", "oxford-iiit-pets", "", "oxford-iiit-pets"),
        ("retrieval", "zh", "flickr30k_cn", "text to image R@5", "flickr30k-cn text to image R@5"),
        ("retrieval", "zh", "xm3600", "text to image R@5", None),
        ("classification", "en", "holidays", "", None),
    ],
)
def test_a_set_is_found_by_any_of_its_names(baselines, exam, lang, name, measured, row):
    assert find_row(baselines.of(exam, lang)[0], name, measured) == row


def test_others_stand_beside_ours_where_they_have_the_set(baselines):
    found = compare(
        sat("elevater", {"cifar-10": 0.5, "fer-2013": 0.25, "voc-2007-classification": 0.7}), baselines
    )
    assert found.header[:6] == ["set", "figure", "teacher en", "teacher zh", "student en", "student zh"]
    assert found.num_own == 5
    column = {name: [row[at] for row in found.rows] for at, name in enumerate(found.header)}
    assert column["set"][3] == "mean of 3 of 4 sets"
    assert column["student zh"] == ["50.00", "25.00", "70.00", "48.33", "48.33"]
    assert column["Chinese-CLIP RN50 zh"] == ["72.7", "21.9", "82.1", "58.9", "58.9"]
    assert column["CLIP ViT-B/32 en"] == ["89.8", "–", "76.4†", "–", "–"]
    assert any("another metric" in note for note in found.notes)
    assert any("arXiv 2211.01335" in note for note in found.notes)
    assert found.skipped == ["dtd"]


def test_an_exam_that_nobody_publishes_has_our_columns_alone(baselines):
    found = compare(sat("classification", {"holidays": 0.5}, ("zh",)), baselines)
    assert found.header == ["set", "figure", "teacher zh", "student zh"]
    assert found.notes == ["No published figures of these sets are known to this report."]


def test_other_exams_are_told_without_ours(baselines):
    found = elsewhere(baselines)
    rows = {row[0]: row[1:] for row in found.rows}
    assert found.num_own == 0
    assert rows["AltCLIP"] == ["864", "74.5", "59.6", "–", "–"]
    assert rows["Chinese-CLIP RN50"] == ["77", "–", "33.5", "–", "40.9 (20)"]
    assert rows["CLIP ViT-B/32"] == ["151", "63.3", "–", "56.6 (20)", "–"]
    assert set(rows["DC-CLIP (the paper)"]) == {"not found"}
