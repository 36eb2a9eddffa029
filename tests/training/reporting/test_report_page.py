"""The report as HTML: what it says, what it must never contain, how large it may get."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from toy_report import (
    ATTRIBUTE,
    INT8,
    REGISTERED,
    SCRIPT,
    TAGS,
    Page,
    confusion,
    example,
    points,
    write_results,
)

from training.evidence import DropSample, DropSheet, Example
from training.reporting.content import ReportContent
from training.reporting.funnel import FunnelStage
from training.reporting.gather import gather_report
from training.reporting.page import percent, within_budget, write_report
from training.reporting.page import points as shown_points

EMPTY = ReportContent(title="nothing")


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> ReportContent:
    """Everything that a report may show, with strangers' text in it."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    attributions = (f"Pictures: {SCRIPT}",)
    return gather_report(folder, INT8, attributions, TAGS, 0.01, REGISTERED)


def write(folder: Path, content: ReportContent) -> str:
    write_report(folder / "report.html", content)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_says_what_happened(full, tmp_path):
    text = Page(write(tmp_path, full)).text
    for words in (
        "dcclip version 4 Champion the mean top-1 is better",
        "Pairs used in training 20 from 40 rows of the lists",
        "joined by url −6 no caption −4",
        "image feature 1 → 0.2",
        "student 29.0% 52.5% 29.0% 52.5%",
        "student in int8 25.0% – 28.0% –",
        "辣椒 50.0% ✓ 书 25.0%",
        "English 29.0% 25.0% +4.0 (+1.0 to +7.0)",
        "Parameters, millions 7.7 10.1",
        "student lime · 青柠 ✗ 75.0%",
        "3 of 10 pictures of this class",
        "zh.csv 22 not stated",
        "Recipe 0123456789ab",
        "teacher 124 M 29.0%",
    ):
        assert words in text


def test_counts_the_examples_that_are_right(full, tmp_path):
    text = Page(write(tmp_path, full)).text
    assert "Of the 2 shown, the first label is right for 2 in English and 0 in Chinese" in text
    assert "the true label is among the five for 2 in English and 2 in Chinese" in text


def test_strings_of_strangers_stay_text(full, tmp_path):
    page = Page(write(tmp_path, replace(full, title=f"run {SCRIPT}")))
    assert "script" not in page.tags
    # The page's title and heading, a list, a confusion's label and the teacher's answer, an example's label
    # and answer, a dropped caption, an attribution.
    assert page.text.count(SCRIPT) == 9
    assert page.text.count(ATTRIBUTE) == 3
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_loads_nothing_from_elsewhere(full, tmp_path):
    page = Page(write(tmp_path, full))
    addresses = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert len(addresses) == 5
    assert all(address.startswith("data:image/") for address in addresses)
    assert page.tags.isdisjoint({"link", "iframe", "object", "base", "form"})
    assert not re.search(r"url\(|@import", write(tmp_path, EMPTY))


def test_same_content_gives_the_same_file(full, tmp_path):
    assert write(tmp_path, full) == write(tmp_path, full)


def test_an_undecided_run_says_so(full, tmp_path):
    text = Page(write(tmp_path, replace(full, decision=None))).text
    assert "Not decided yet" in text
    assert "version 4" not in text


def test_empty_run_says_so(tmp_path):
    text = Page(write(tmp_path, EMPTY)).text
    for sentence in ("No step recorded", "No loss curve", "No exam was sat", "No examples were chosen"):
        assert sentence in text


def test_odd_run_renders(tmp_path):
    odd = ReportContent(
        title="odd",
        funnel=[
            FunnelStage("url_lists", 0, 0, {}),
            FunnelStage("filter_pairs", 0, 0, {"not_an_image": 0}),
        ],
        curves={"distill_student": [], "align_student": points("both", [], num=1)},
        exam={"name": "toy", "num_classes": 0, "num_images": 0, "rows": []},
        confusions={"en": [], "zh": []},
        examples=[Example(None, {"en": "book", "zh": "书"}, {"en": [], "zh": []})],
    )
    page = Page(write(tmp_path, odd))
    assert page.text.count("nothing left out") == 2
    assert page.text.count("no answer") == 2
    assert page.text.count("every answer was right") == 2
    assert not [value for _, value in page.attributes if value and re.search(r"\b(nan|inf)\b", value)]


def test_a_report_stays_below_three_megabytes(full, tmp_path):
    large = "data:image/png;base64," + "A" * 40_000
    rows = [DropSample(large, {"zh": "红", "en": "b"}, "http://a/" + "b" * 100_000)] * 300
    content = replace(
        full,
        drops=[DropSheet("filter_pairs", "too_long", rows)],
        examples=[replace(example(), image=large)] * 30,
    )
    assert len(write(tmp_path, content).encode()) < 3_000_000


def test_what_is_left_out_for_its_size_are_the_last_pictures():
    content = ReportContent(
        title="",
        confusions={"en": [replace(confusion(), picture="1" * 10)] * 2},
        examples=[replace(example(), image="2" * 10)],
        drops=[DropSheet("a", "b", [DropSample("3" * 10, {}, None)])],
    )
    kept = within_budget(content, max_chars=30)
    assert [row.picture for row in kept.confusions["en"]] == ["1" * 10] * 2
    assert kept.examples[0].image == "2" * 10
    assert kept.drops[0].samples[0].picture is None


def test_percent():
    assert [percent(share) for share in (0, 0.0004, 0.0005, 0.29, 1)] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "29.0%",
        "100.0%",
    ]


def test_points_have_a_sign():
    assert [shown_points(value) for value in (3.84, 0, -2.25)] == ["+3.8", "+0.0", "−2.2"]
