"""The data card: what the training data are made of, as `data_card.md` for people and `.json` for programs.

Facts come from what each step recorded. Left out on purpose: judgement of licences. The card repeats what
the recipe says of a list, and says so where it says nothing.
"""

from pathlib import Path

from infra.store import write_json
from training.report import DropSample, DropSheet

UNKNOWN_LICENCE = "not stated"


def build_card(sources: list[dict], steps: list[dict], thresholds: dict, teacher: str) -> dict:
    """The card as JSON has it.

    Args:
        sources: per list its `path`, `lang`, `licence`, and `rows` when they were counted.
        steps: in order, each with `step`, `input`, `kept`, `dropped` (reason to count) and `captions` per
            language where the step counts them.
        thresholds: per step what its recipe says, and what percentiles came to.
        teacher: what gave the vectors and scores.
    """
    sources = [{**source, "licence": source.get("licence") or UNKNOWN_LICENCE} for source in sources]
    return {"sources": sources, "steps": steps, "thresholds": thresholds, "teacher": teacher}


def write_card(folder: Path, card: dict) -> None:
    """Write `data_card.json` and `data_card.md`."""
    write_json(folder / "data_card.json", card)
    parts = [
        "# Data card",
        f"Vectors and scores are those of {card['teacher']}.",
        "## Sources",
        _table(["list", "language", "licence", "rows"], map(_source_row, card["sources"])),
        "## Steps",
        _table(["step", "in", "kept", "Chinese captions", "English captions"], map(_step_row, card["steps"])),
        "## Dropped",
        _table(["step", "reason", "rows"], _drop_rows(card["steps"])),
        "## Thresholds",
        _table(["step", "name", "value"], _threshold_rows(card["thresholds"])),
    ]
    (folder / "data_card.md").write_text("\n\n".join(parts) + "\n")


def _source_row(source: dict) -> list:
    return [source["path"], source["lang"], source["licence"], source.get("rows", "")]


def _step_row(step: dict) -> list:
    captions = step.get("captions", {})
    return [step["step"], step["input"], step["kept"], captions.get("zh", ""), captions.get("en", "")]


def _drop_rows(steps: list[dict]) -> list[list]:
    return [[step["step"], reason, count] for step in steps for reason, count in step["dropped"].items()]


def _threshold_rows(thresholds: dict) -> list[list]:
    return [[step, name, value] for step, values in thresholds.items() for name, value in _flat(values)]


def _flat(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _table(header: list[str], rows) -> str:
    """A Markdown table; a cell's own bars and line ends do not break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in lines)


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return " ".join(text.replace("|", "\\|").split())


def drop_sheets(samples: list[dict], pictures: Path) -> list[DropSheet]:
    """The samples of spark_jobs/drop_samples.py for the report, one sheet a step and reason."""
    sheets: dict[tuple[str, str], list[DropSample]] = {}
    for row in samples:
        file = pictures / row["picture"] if row["picture"] else None
        captions = {"zh": row["zh"], "en": row["en"]}
        sample = DropSample(file.read_bytes() if file else None, captions, row["url"])
        sheets.setdefault((row["step"], row["reason"]), []).append(sample)
    return [DropSheet(step, reason, found) for (step, reason), found in sheets.items()]
