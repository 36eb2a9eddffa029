"""The report's content from what a run leaves: the account, the exam, the decision."""

import pytest
from toy_report import DIFFERENCES, INT8, RECORDS, REGISTERED, RESULTS, TAGS, sat, write_results

from training.reporting.decision import read_decision
from training.reporting.gather import gather_report
from training.reporting.trained_on import trained_on

TOP1 = {"en": 0.29, "zh": 0.29}


def test_the_account_tells_what_was_trained_on_what():
    account = trained_on(RECORDS, RESULTS, INT8, 124_000_000, TAGS)
    assert [(source.num_rows, source.licence) for source in account.sources] == [
        (22, "not stated"),
        (18, "CC-BY 4.0"),
    ]
    assert account.unlicensed
    assert account.facts["Data"]["Crawl"] == "27 pictures of 30 addresses (90.0%), 123 a second"
    assert account.facts["Data"]["Captions"] == "1,100 Chinese, 21 English"
    assert account.facts["Teacher"] == {
        "Network": "three networks and a sentence encoder",
        "Parameters": "124.0 million",
    }
    assert account.facts["Student"]["Parameters"] == "7.7 million"
    assert account.facts["Student"]["In int8"] == "2.0 MB, 4.0 points of top-1 lost at most"
    assert account.facts["Student"]["int8 measured on"] == "Some CPU (x86_64); it holds for every CPU"
    assert account.facts["Training"] == {
        "Stage 1, image tower": "400 steps of 64 pairs, 25,600 seen; image feature"
    }
    assert account.facts["Identity"]["Code"] == TAGS["code"]


def test_what_was_not_recorded_is_left_out():
    facts = trained_on(RECORDS, RESULTS, {}, None, {}).facts
    assert "In int8" not in facts["Student"]
    assert "Parameters" not in facts["Teacher"]
    assert "Identity" not in facts


def test_published_exams_replace_the_table_of_other_exams(tmp_path):
    write_results(tmp_path, [sat("elevater", {"cifar-10": 0.5})])
    content = gather_report(tmp_path, {}, (), TAGS, 0.01)
    assert [found.name for found in content.comparisons] == ["our elevater"]
    assert content.cost.same
    assert content.decision is None
    assert [row["model"] for row in content.exam["rows"]] == ["teacher", "student", "chance"]


def test_the_decision_has_both_versions():
    found = read_decision(REGISTERED, TOP1, 7_654_321, 0.01)
    assert (found.version, found.rival, found.alias) == (4, 3, "champion")
    assert found.sizes == ("7.7", "10.1")
    assert [row.name for row in found.rows] == ["English", "Chinese", "Mean"]
    english = found.rows[0]
    assert (english.new, english.old) == (0.29, pytest.approx(0.25))
    assert (english.difference.low, english.difference.high) == (pytest.approx(1), pytest.approx(7))
    assert found.zero < english.difference.left < english.difference.at < 100
    assert found.floor < found.zero


def test_intervals_stay_on_their_bars():
    wide = {name: {"value": -0.4, "low": -0.9, "high": 0.2} for name in DIFFERENCES}
    compared = {"version": 3, "parameters": None, "differences": wide}
    found = read_decision(REGISTERED | {"comparison": compared}, TOP1, 1, 0.01)
    for row in found.rows:
        assert (
            0 <= row.difference.left < row.difference.at < row.difference.left + row.difference.width <= 100
        )
    assert found.sizes[1] == "not recorded"


def test_a_first_version_has_nobody_beside_it():
    found = read_decision(REGISTERED | {"comparison": {}}, TOP1, 7_654_321, 0.01)
    assert found.rival is None
    assert [(row.new, row.old, row.difference) for row in found.rows] == [(0.29, None, None)] * 3
