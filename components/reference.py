"""What passes between steps through KFP: a reference to a stored result, never data.

An artifact is a small JSON file at its own path. Its address is KFP's to choose and is never set: the
backend moves whatever an artifact's address names into each pod that has it as an input, or refuses it.
Metadata are a few strings and numbers, since the backend knows neither null nor NaN; figures are Metrics, in
which Kubeflow's pages compare runs.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from infra.places import place_name

# What of a step's facts people look at: a path, `*` for any name, and how the names found make one; without
# that they stand in a row.
FIGURES: dict[str, dict[str, str]] = {
    "download_pairs": {
        "rows": "",
        "urls": "",
        "crawl.downloaded": "downloaded",
        "crawl.failures.*": "failed_{0}",
    },
    "filter_pairs": {"input": "", "kept": "", "dropped.*": ""},
    "embed_pairs": {"pairs": "", "texts": "", "dropped.*": "", "reused.*": ""},
    "select_pairs": {"input": "", "kept": "", "captions.*": "", "dropped.*": ""},
    "distill_student": {"parameters": "", "last_loss.*": ""},
    "align_student": {"parameters": "", "last_loss.*": ""},
    "evaluate_student": {"models.*.*.*": "{0}_{2}_{1}", "num_classes": "", "student.*": ""},
    "export_student": {"cosine_gap.*": "", "int8.top1.*.*": "top1_{1}_{0}", "int8.drop_points": ""},
}


@dataclass(frozen=True)
class Reference:
    """Where a step's result is stored, and what a person wants to know of it.

    `identity` is the last name of the address; `reused` is 1 where the step was found done; `figures` are
    finite numbers by name.
    """

    step: str
    address: str
    identity: str
    reused: int
    figures: dict[str, float]


def refer(step: str, address: str, record: dict, reused: bool) -> Reference:
    """The reference to a finished result, from the record that the step has left there."""
    return Reference(
        step, address, place_name(address), int(reused), figures_of(step, record.get("facts", {}))
    )


def write_reference(artifact: Any, reference: Reference) -> None:
    """Make a KFP artifact the reference: its file, and metadata without the figures."""
    write_artifact(artifact, asdict(reference))
    told = asdict(reference)
    del told["figures"]
    artifact.metadata.update(told)


def write_artifact(artifact: Any, content: dict) -> None:
    """Write an artifact's file as JSON."""
    write_text(artifact, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False))


def write_text(artifact: Any, text: str) -> None:
    """Write an artifact's file, at the path that KFP has for it."""
    path = Path(artifact.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_reference(artifact: Any) -> Reference:
    """The reference that another step has written.

    Raises:
        ValueError: the artifact's file is none.
    """
    found = json.loads(Path(artifact.path).read_text())
    names = {item.name for item in fields(Reference)}
    if not isinstance(found, dict) or found.keys() != names:
        raise ValueError(
            f"{artifact.path} is no reference to a result: it should have {', '.join(sorted(names))}"
        )
    return Reference(**found)


def write_metrics(artifact: Any, figures: dict[str, float]) -> None:
    """Make a KFP Metrics artifact of figures: numbers alone, which newer backends insist on."""
    write_artifact(artifact, figures)
    for name, value in figures.items():
        artifact.log_metric(name, value)


def figures_of(step: str, facts: dict) -> dict[str, float]:
    """The figures among a step's facts; what is not there, or not finite, is left out."""
    found = {}
    for pattern, form in FIGURES.get(step, {}).items():
        for names, value in _matches(facts, pattern.split(".")):
            wanted = [name for name, part in zip(names, pattern.split("."), strict=True) if part == "*"]
            name = form.format(*wanted) if form else "_".join(names)
            found[name.replace(" ", "_")] = value
    return found


def _matches(facts: Any, parts: list[str]) -> Iterator[tuple[list[str], float]]:
    """(names on the way, number) for each number that a path leads to."""
    if not parts:
        if isinstance(facts, (int, float)) and not isinstance(facts, bool) and math.isfinite(facts):
            yield [], facts
        return
    if not isinstance(facts, dict):
        return
    for name in facts if parts[0] == "*" else {parts[0]} & facts.keys():
        for names, value in _matches(facts[name], parts[1:]):
            yield [name, *names], value
