"""What tests of the report share: a page as a browser sees it, and records of a made-up run."""

import json
from html.parser import HTMLParser
from pathlib import Path

from toy_training import picture

from infra.store import write_json
from training.confusions import Confusion
from training.evidence import DropSample, DropSheet, Evidence, Example, write_evidence
from training.exams.results import averages
from training.thumbnails import thumbnail

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"><img src=http://evil.example/x onerror=alert(1)>'
NO_END_TAG = {"meta", "img"}


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


RECORDS = {
    "raw": {
        "facts": {
            "rows": 40,
            "urls": 30,
            "dropped": {"no_caption": 4},
            "joined_by_url": 6,
            "lists": {"zh.csv": 22, SCRIPT: 18},
            "crawl": {"urls": 30, "downloaded": 27, "success_rate": 0.9, "images_per_second": 123.4},
        },
        "values": {"lists": [{"path": "/a/zh.csv", "licence": ""}, {"path": "/b", "licence": "CC-BY 4.0"}]},
    },
    "pairs": {
        "facts": {"input": 30, "kept": 24, "dropped": {"too_small": 5, "same_picture": 1}},
        "values": {},
    },
    "teacher": {
        "facts": {"source": "lit:", "described": "three networks and a sentence encoder"},
        "values": {"revision": ""},
    },
    "selection": {
        "facts": {
            "input": 24,
            "kept": 20,
            "dropped": {"low_teacher_score": 4},
            "captions": {"zh": 1_100, "en": 21},
        },
        "values": {},
    },
    "distilled": {
        "facts": {"tokenizer": {"texts": 96_126}},
        "values": {
            "student": {"family": "align", "image_size": 72},
            "phases": [
                {
                    "name": "image tower",
                    "num_steps": 400,
                    "batch_size": 64,
                    "data": "pairs",
                    "terms": {"image_feature": 1},
                }
            ],
        },
    },
    "student": {"facts": {}, "values": {}},
}
SHARE = {lang: {"top1": 0.29, "top5": 0.5249} for lang in ("en", "zh")}
RESULTS = {
    "exam": "colours",
    "num_images": 12,
    "num_classes": 6,
    "models": {"teacher": SHARE, "student": SHARE, "chance": SHARE},
    "student": {"parameters": 7_654_321, "megabytes": 29.25},
}
INT8_TOP1 = {"int8": {"en": 0.25, "zh": 0.28}}
INT8 = {"int8": {"top1": INT8_TOP1, "drop_points": 4.0, "megabytes": {"a": 2.0}, "cpu": "Some CPU (x86_64)"}}
TAGS = {"recipe": "0123456789ab", "code": "ba9876543210", "data": "d", "student": "s", "onnx": "o"}
DIFFERENCES = {name: {"value": 0.04, "low": 0.01, "high": 0.07} for name in ("en", "zh", "mean")}
REGISTERED = {
    "model": "dcclip",
    "version": 4.0,
    "alias": "champion",
    "reason": "the mean top-1 is better",
    "gains": {},
    "comparison": {"version": 3.0, "parameters": "10083469", "differences": DIFFERENCES},
}


def confusion(truth: str = "lemon") -> Confusion:
    """A lemon taken for a lime, in both languages."""
    return Confusion(
        picture=thumbnail(picture("yellow")),
        truth={"en": truth, "zh": "柠檬"},
        guess={"en": "lime", "zh": "青柠"},
        probability=0.75,
        teacher={"en": truth, "zh": "柠檬"},
        teacher_right=True,
        num_confused=3,
        num_pictures=10,
    )


def example(truth_en: str = "book") -> Example:
    """A red picture, right at first guess in English, at the second in Chinese."""
    return Example(
        image=thumbnail(picture("red")),
        truth={"en": truth_en, "zh": "书"},
        top5={"en": [(truth_en, 0.9), (ATTRIBUTE, 0.0001)], "zh": [("辣椒", 0.5), ("书", 0.25)]},
    )


def points(phase: str, terms: list[str], num: int = 5) -> list[dict]:
    """A loss curve."""
    rest = {"learning_rate": 1e-3, "scale": 20.0}
    return [
        {"phase": phase, "step": 20 * i, "loss": 3.0 - i / num, **dict.fromkeys(terms, 1.0 / (i + 1)), **rest}
        for i in range(num)
    ]


def evidence() -> Evidence:
    """Evidence with strangers' text wherever there may be any."""
    samples = [
        DropSample(thumbnail(picture("red")), {"zh": "红色", "en": SCRIPT}, ATTRIBUTE),
        DropSample(None, {"zh": None, "en": "b"}, None),
    ]
    return Evidence(
        records=RECORDS,
        curves={"distill_student": points("image", ["image_feature", "image_affinity"]), "align_student": []},
        examples=[example(), example(SCRIPT)],
        confusions={"en": [confusion(SCRIPT)], "zh": [confusion()]},
        drops=[DropSheet("filter_pairs", "en_boilerplate", samples)],
        teacher_parameters=124_000_000,
    )


def write_results(folder: Path, exams: list[dict] | None = None) -> None:
    """A folder as evaluate_student leaves it, as far as the report reads it."""
    folder.mkdir(exist_ok=True)
    write_evidence(folder, evidence())
    write_json(folder / "results.json", RESULTS)
    if exams:
        write_json(folder / "exams.json", json.loads(json.dumps(exams)))


def sat(kind: str, figures: dict[str, float], languages: tuple[str, ...] = ("en", "zh")) -> dict:
    """An exam that student and teacher sat with the same figures by set."""
    sets = [
        {
            "set": name,
            "metric": "accuracy",
            "near_chance": False,
            "figures": {
                model: {lang: {"figure": value} for lang in languages} for model in ("teacher", "student")
            },
        }
        for name, value in figures.items()
    ]
    return {
        "name": f"our {kind}",
        "kind": kind,
        "num_asked": len(sets) + 1,
        "sets": sets,
        "skipped": [{"set": "dtd", "reason": "missing"}],
        "averages": averages(sets),
    }
