"""The model card: what strangers write in lists and licences is text in it, and what it says of Chinese."""

import pytest
from test_data_card import HOSTILE, assert_harmless

from training.model_card import write_model_card

MARKS = {"en": {"top1": 0.5, "top5": 0.9}, "zh": {"top1": 0.4, "top5": 0.8}}
EXAM = {
    "student": {"parameters": 1_000_000},
    "models": {"student": MARKS},
    "num_images": 10,
    "num_classes": 5,
    "exam": "colours",
}


def card_of(folder, name="ours", licence="MIT", exam="colours", attributions=(), simplify=False) -> str:
    data = {
        "sources": [{"list": name, "path": "a.csv", "licence": licence, "rows": 3}],
        "steps": [{"kept": 3, "captions": {"zh": 2, "en": 1}}],
        "thresholds": {"filter_pairs": {"simplify": simplify}},
    }
    write_model_card(folder, {**EXAM, "exam": exam}, data, None, attributions, 32)
    return (folder / "README.md").read_text()


@pytest.mark.parametrize("field", ["name", "licence", "exam"])
def test_what_strangers_write_is_no_markup(tmp_path, field):
    assert_harmless(card_of(tmp_path, **{field: HOSTILE}))


def test_an_attribution_is_one_line_of_text(tmp_path):
    text = card_of(tmp_path, attributions=(HOSTILE, "# not a heading"))
    assert_harmless(text)
    assert "\n- \\# not a heading\n" in text


@pytest.mark.parametrize("simplify", [True, False])
def test_it_says_what_became_of_traditional_characters(tmp_path, simplify):
    text = card_of(tmp_path, simplify=simplify)
    assert "convert it first, for example with OpenCC" in text
    assert ("which were simplified before training" in text) is simplify
