"""The data card: every figure of the steps is in it, and no caption or path breaks its tables."""

import json

from training.data_card import build_card, drop_sheets, write_card

CARD = build_card(
    sources=[
        {"path": "lists/a|b.csv", "lang": "zh", "licence": "CC BY 4.0", "rows": 1200},
        {"path": "lists/c.tsv", "lang": "en", "licence": ""},
    ],
    steps=[
        {"step": "filter_pairs", "input": 1500, "kept": 1000, "dropped": {"zh_too_short": 500}},
        {
            "step": "select_pairs",
            "input": 1000,
            "kept": 900,
            "dropped": {},
            "captions": {"zh": 800, "en": 850},
        },
    ],
    thresholds={"filter_pairs": {"zh": {"min_chars": 2}, "min_side": 32}},
    teacher="a toy",
)


def rows_of(text: str) -> list[list[str]]:
    """Cells of all table rows."""
    return [
        [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_people_and_programs_read_the_same_figures(tmp_path):
    write_card(tmp_path, CARD)
    assert json.loads((tmp_path / "data_card.json").read_text()) == CARD
    rows = rows_of((tmp_path / "data_card.md").read_text())
    assert ["lists/a¦b.csv", "zh", "CC BY 4.0", "1,200"] in rows
    assert ["lists/c.tsv", "en", "not stated", ""] in rows
    assert ["filter_pairs", "zh_too_short", "500"] in rows
    assert ["select_pairs", "1,000", "900", "800", "850"] in rows
    assert ["filter_pairs", "zh.min_chars", "2"] in rows


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
    assert [sample.picture for sample in first.samples] == [b"picture", None]
    assert first.samples[0].captions == {"zh": "红", "en": None}
