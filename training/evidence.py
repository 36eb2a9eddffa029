"""What a run shows of itself: records of its steps, loss curves, examples, confusions, dropped rows.

evaluate_student gathers it into `evidence.json`; register_student makes the report of it
(training/reporting). It is apart from the report so that another look of the page examines nothing anew.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from infra.store import SAMPLES, read_done, read_json, write_json
from training.confusions import Confusion
from training.job import read_curve
from training.thumbnails import data_uri

EVIDENCE = "evidence.json"
# Steps that leave a loss curve, and that leave samples of what they dropped, by their argument's name.
CURVES = {"distilled": "distill_student", "student": "align_student"}
DROPPING = ("pairs", "selection")


@dataclass(frozen=True)
class Example:
    """An exam image (a `data:` address), its true label per language, the five best (label, probability)."""

    image: str
    truth: dict[str, str]
    top5: dict[str, list[tuple[str, float]]]


@dataclass(frozen=True)
class DropSample:
    """A row that was dropped: its picture (a `data:` address) if there is one, its captions, its address."""

    picture: str | None
    captions: dict[str, str | None]
    url: str | None


@dataclass(frozen=True)
class DropSheet:
    """A few rows that one step dropped for one reason."""

    step: str
    reason: str
    samples: list[DropSample]


@dataclass(frozen=True)
class Evidence:
    """All of it.

    Attributes:
        records: `facts` and `values` of each step before the exam, by its name in the pipeline.
        curves: points of the loss curve by training step.
        confusions: by language.
        teacher_parameters: None where they could not be counted.
    """

    records: dict[str, dict]
    curves: dict[str, list[dict]]
    examples: list[Example]
    confusions: dict[str, list[Confusion]]
    drops: list[DropSheet]
    teacher_parameters: int | None


def gather_evidence(
    steps: dict[str, Path],
    examples: list[Example],
    confusions: dict[str, list[Confusion]],
    teacher_parameters: int | None,
) -> Evidence:
    """The evidence from the places of the steps, by their names in the pipeline, and from the exam."""
    done = {name: read_done(place) or {} for name, place in steps.items()}
    return Evidence(
        records={
            name: {key: item.get(key, {}) for key in ("facts", "values")} for name, item in done.items()
        },
        curves={step: read_curve(steps[name]) for name, step in CURVES.items()},
        examples=examples,
        confusions=confusions,
        drops=[sheet for name in DROPPING for sheet in _drops(steps[name] / SAMPLES)],
        teacher_parameters=teacher_parameters,
    )


def _drops(folder: Path) -> list[DropSheet]:
    return drop_sheets(read_json(folder / "samples.json"), folder)


def drop_sheets(samples: list[dict], pictures: Path) -> list[DropSheet]:
    """The samples of spark_jobs/drop_samples.py, one sheet a step and reason."""
    sheets: dict[tuple[str, str], list[DropSample]] = {}
    for row in samples:
        picture = data_uri((pictures / row["picture"]).read_bytes(), "jpeg") if row["picture"] else None
        sample = DropSample(picture, {lang: row[lang] for lang in ("zh", "en")}, row["url"])
        sheets.setdefault((row["step"], row["reason"]), []).append(sample)
    return [DropSheet(step, reason, found) for (step, reason), found in sheets.items()]


def write_evidence(folder: Path, evidence: Evidence) -> None:
    """Write `evidence.json`."""
    write_json(folder / EVIDENCE, asdict(evidence))


def read_evidence(folder: Path) -> Evidence:
    """What `write_evidence` wrote."""
    raw = read_json(folder / EVIDENCE)
    parts = {
        "examples": [Example(**row) for row in raw["examples"]],
        "confusions": {lang: [Confusion(**row) for row in rows] for lang, rows in raw["confusions"].items()},
        "drops": [
            DropSheet(**sheet | {"samples": [DropSample(**row) for row in sheet["samples"]]})
            for sheet in raw["drops"]
        ],
    }
    return Evidence(**raw | parts)
