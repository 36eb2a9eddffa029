"""The report on tiny real data: what it says, what it must never contain, and that nothing breaks it."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from training.report import (
    DropSample,
    DropSheet,
    Example,
    FunnelStage,
    ReportContent,
    draw_chart,
    draw_funnel,
    percent,
    round_ticks,
    write_report,
)

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"><img src=http://evil.example/x onerror=alert(1)>'
NO_END_TAG = {"meta", "img"}
EMPTY = ReportContent(title="nothing", about={}, funnel=[], curves={}, exam={}, examples=[], attributions=[])


class Page(HTMLParser):
    """What a browser would see: tags, attributes, text; fails on a tag that is not closed in its place."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), [], []
        self.feed(html)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in NO_END_TAG:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closed out of place, line {self.getpos()[0]}"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "PNG")
    return stream.getvalue()


def points(phase: str, terms: list[str], num: int = 5) -> list[dict]:
    rest = {"learning_rate": 1e-3, "scale": 20.0}
    return [
        {"phase": phase, "step": 20 * i, "loss": 3.0 - i / num, **dict.fromkeys(terms, 1.0 / (i + 1)), **rest}
        for i in range(num)
    ]


def example(truth_en: str = "book") -> Example:
    return Example(
        image=png("red"),
        truth={"en": truth_en, "zh": "书"},
        top5={"en": [(truth_en, 0.9), (ATTRIBUTE, 0.0001)], "zh": [("辣椒", 0.5), ("书", 0.25)]},
    )


def full() -> ReportContent:
    half = {"top1": 0.29, "top5": 0.5249}
    return ReportContent(
        title=f"run {SCRIPT}",
        about={"Teacher": f"lit {ATTRIBUTE}"},
        funnel=[
            FunnelStage("url_lists", 1200, 1100, {"same_url": 94, "no_caption": 6}),
            FunnelStage("filter_pairs", 1100, 1000, {"not_an_image": 100}),
        ],
        curves={"distill_student": points("image", ["image_feature", "image_affinity"])},
        exam={
            "name": "toy",
            "num_classes": 4,
            "num_images": 8,
            "rows": [{"model": model, "en": half, "zh": half} for model in ("teacher", "student", "chance")],
        },
        examples=[example(), example(SCRIPT)],
        attributions=[f"Pictures: {SCRIPT}"],
    )


def write(folder: Path, content: ReportContent) -> str:
    write_report(folder / "report.html", content)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_says_what_happened(tmp_path):
    text = Page(write(tmp_path, full())).text
    assert "Pairs used in training 1,000 from 1,200 rows of the lists" in text
    assert "same url −94 no caption −6" in text
    assert "image feature 1 → 0.2" in text
    assert "student 29.0% 52.5% 29.0% 52.5%" in text
    assert "辣椒 50.0% ✓ 书 25.0%" in text


def test_counts_the_examples_that_are_right(tmp_path):
    text = Page(write(tmp_path, full())).text
    assert "Of the 2 shown, the first label is right for 2 in English and 0 in Chinese" in text
    assert "the true label is among the five for 2 in English and 2 in Chinese" in text


def test_strings_of_strangers_stay_text(tmp_path):
    page = Page(write(tmp_path, full()))
    assert "script" not in page.tags
    assert page.text.count(SCRIPT) == 5  # page title, heading, true label, first answer, attribution
    assert page.text.count(ATTRIBUTE) == 3
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_loads_nothing_from_elsewhere(tmp_path):
    page = Page(write(tmp_path, full()))
    addresses = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert len(addresses) == 2
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert page.tags.isdisjoint({"link", "iframe", "object", "base", "form"})
    assert not re.search(r"url\(|@import", write(tmp_path, EMPTY))


def test_same_content_gives_the_same_file(tmp_path):
    assert write(tmp_path, full()) == write(tmp_path, full())


def test_empty_run_says_so(tmp_path):
    text = Page(write(tmp_path, EMPTY)).text
    for sentence in ("No step recorded", "No loss curve", "No exam was sat", "No examples were chosen"):
        assert sentence in text


def test_odd_run_renders(tmp_path):
    odd = {
        "funnel": [
            FunnelStage("url_lists", 0, 0, {}),
            FunnelStage("filter_pairs", 0, 0, {"not_an_image": 0}),
        ],
        "curves": {"distill_student": [], "align_student": points("both", [], num=1)},
        "exam": {"name": "toy", "num_classes": 0, "num_images": 0, "rows": []},
        "examples": [Example(png("blue"), {"en": "book", "zh": "书"}, {"en": [], "zh": []})],
    }
    page = Page(write(tmp_path, ReportContent(title="odd", about={}, attributions=[], **odd)))
    assert page.text.count("nothing left out") == 2
    assert page.text.count("no answer") == 2
    assert not [value for _, value in page.attributes if value and re.search(r"\b(nan|inf)\b", value)]


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


def test_percent():
    assert [percent(share) for share in (0, 0.0004, 0.0005, 0.29, 1)] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "29.0%",
        "100.0%",
    ]


def test_dropped_rows_are_shown_and_their_captions_do_no_harm(tmp_path):
    sample = DropSample(png("red"), {"zh": "红色", "en": SCRIPT}, ATTRIBUTE)
    other = DropSample(None, {"zh": None, "en": "b"}, None)
    sheets = [DropSheet("filter_pairs", "en_boilerplate", [sample, other])]
    write_report(tmp_path / "report.html", replace(EMPTY, drops=sheets))
    page = Page((tmp_path / "report.html").read_text())
    assert "en boilerplate filter pairs" in page.text
    assert SCRIPT in page.text
    assert "红色" in page.text
    assert "script" not in page.tags
    (source,) = [value for name, value in page.attributes if name == "src"]
    assert source.startswith("data:image/jpeg;base64,")
