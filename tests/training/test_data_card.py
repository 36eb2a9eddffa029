"""The data card: every figure of the steps is in it, and no caption or path breaks its tables."""

import json
import re

import pytest

from training.data_card import build_card, plain_text, write_card
from training.evidence import drop_sheets

RECORDS = {
    "raw": {
        "values": {
            "lists": [
                {"path": "lists/a|b.csv", "licence": "CC BY 4.0"},
                {"path": "lists/c.tsv", "licence": ""},
            ],
            "zh": {"min_chars": 1},
        },
        "facts": {
            "lists": {"ab": 1_200, "c": 800},
            "rows": 2_000,
            "urls": 1_500,
            "dropped": {"bad_url": 500},
            "captions": {"zh": 900, "en": 700},
            "crawl": {"downloaded": 1_400, "failures": {"http_error": 100}},
        },
    },
    "pairs": {
        "values": {"zh": {"max_chars": 50}},
        "facts": {"input": 1_500, "kept": 1_000, "dropped": {"http_error": 100, "zh_too_short": 400}},
    },
    "embedded": {"facts": {"pairs": 999, "dropped": {"unreadable_image": 1}}},
}
SELECTED = {
    "input": 1_000,
    "kept": 900,
    "dropped": {"low_teacher_score": 99},
    "captions": {"zh": 800, "en": 7},
    "thresholds": {"zh": 0.25, "en": None},
}


@pytest.fixture
def card() -> dict:
    return build_card(RECORDS, SELECTED, {"drop_share": 0.1})


def rows_of(text: str) -> list[list[str]]:
    """Cells of all table rows."""
    return [
        [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_people_and_programs_read_the_same_figures(card, tmp_path):
    write_card(tmp_path, card)
    assert json.loads((tmp_path / "data_card.json").read_text()) == card
    rows = rows_of((tmp_path / "data_card.md").read_text())
    for row in (
        ["ab", "lists/a¦b.csv", "CC BY 4.0", "1,200"],
        ["c", "lists/c.tsv", "not stated", "800"],
        ["url_lists", "2,000", "1,500", "900", "700"],
        ["download_pairs", "1,500", "1,400", "", ""],
        ["select_pairs", "1,000", "900", "800", "7"],
        ["filter_pairs", "zh_too_short", "400"],
        ["embed_pairs", "unreadable_image", "1"],
        ["download_pairs", "zh.min_chars", "1"],
        ["filter_pairs", "zh.max_chars", "50"],
        ["select_pairs", "lowest_score.zh", "0.25"],
    ):
        assert row in rows


HOSTILE = "a<script>alert(1)</script>|[x](javascript:1)`*b*` ![i](http://a/i.png) \u202egnp\\ _c_ ~d~\n# e"


def test_no_list_name_or_licence_is_markup(tmp_path):
    """In the data card; tests/training/test_model_card.py has the other one."""
    records = {
        **RECORDS,
        "raw": {**RECORDS["raw"], "facts": {**RECORDS["raw"]["facts"], "lists": {HOSTILE: 1}}},
    }
    records["raw"]["values"] = {"lists": [{"path": HOSTILE, "licence": HOSTILE}]}
    write_card(tmp_path, build_card(records, SELECTED, {"drop_share": 0.1}))
    text = (tmp_path / "data_card.md").read_text()
    assert_harmless(text)
    (row,) = [row for row in text.split("\n") if "alert" in row]
    assert row.replace("\\|", "").count("|") == 5


def assert_harmless(text: str) -> None:
    for markup in ("<script", "\u202e", "![", "\n# e"):
        assert markup not in text
    assert re.search(r"(?<!\\)[`*\[\]~]", text.split("alert(1)")[1].split("\n")[0]) is None


@pytest.mark.parametrize(
    "text",
    ["CC BY 4.0", "zh_too_short", "https://creativecommons.org/licenses/by/4.0/", "-0.25", "#1 & 2", "柠檬"],
)
def test_ordinary_texts_stay_readable(text):
    assert plain_text(text).replace("&amp;", "&") == text


def test_drops_become_sheets_by_step_and_reason(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"picture")
    row = {"step": "filter_pairs", "reason": "blank_image", "url": "http://a", "zh": "红", "en": None}
    samples = [
        {**row, "picture": "1.jpg"},
        {**row, "picture": None},
        {**row, "reason": "zh_too_short", "picture": None},
    ]
    first, second = drop_sheets(samples, tmp_path)
    assert (first.reason, second.reason) == ("blank_image", "zh_too_short")
    assert [sample.picture for sample in first.samples] == ["data:image/jpeg;base64,cGljdHVyZQ==", None]
    assert first.samples[0].captions == {"zh": "红", "en": None}
