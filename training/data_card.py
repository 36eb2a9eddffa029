"""The data card: what the training data are made of, as `data_card.md` for people and `.json` for programs.

Facts come from what each step recorded. Left out on purpose: judgement of licences. The card repeats what
the recipe says of a list, and says so where it says nothing.
"""

import html
import re
import unicodedata
from pathlib import Path

from infra.store import write_json

# Characters that reverse the text around them.
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
UNKNOWN_LICENCE = "not stated"


def build_card(records: dict[str, dict], selected: dict, selection: dict) -> dict:
    """The card as JSON has it.

    Args:
        records: of the steps `raw`, `pairs` and `embedded`, as they are in `done.json`.
        selected: the facts of select_pairs, and `selection`, its values in the recipe.
    """
    crawl, judged, embedded = (records[name]["facts"] for name in ("raw", "pairs", "embedded"))
    values = {name: records[name].get("values", {}) for name in ("raw", "pairs")}
    return {
        "sources": _sources(values["raw"].get("lists", []), crawl["lists"]),
        "steps": [
            _step("url_lists", crawl["rows"], crawl["urls"], crawl),
            _step(
                "download_pairs",
                crawl["urls"],
                crawl["crawl"]["downloaded"],
                {"dropped": crawl["crawl"]["failures"]},
            ),
            _step("filter_pairs", judged["input"], judged["kept"], judged),
            _step("embed_pairs", judged["kept"], embedded["pairs"], embedded),
            _step("select_pairs", selected["input"], selected["kept"], selected),
        ],
        "thresholds": {
            "download_pairs": {name: values["raw"].get(name) for name in ("zh", "en")},
            "filter_pairs": values["pairs"],
            "select_pairs": {**selection, "lowest_score": selected["thresholds"]},
        },
    }


def _sources(lists: list[dict], rows: dict[str, int]) -> list[dict]:
    """What the recipe says of each list, and how many rows it has; both are in the recipe's order."""
    return [
        {
            "list": name,
            "path": source["path"],
            "licence": source.get("licence") or UNKNOWN_LICENCE,
            "rows": count,
        }
        for source, (name, count) in zip(lists, rows.items(), strict=True)
    ]


def _step(name: str, num_in: int, num_kept: int, facts: dict) -> dict:
    return {
        "step": name,
        "input": num_in,
        "kept": num_kept,
        "dropped": facts["dropped"],
        "captions": facts.get("captions", {}),
    }


def write_card(folder: Path, card: dict) -> None:
    """Write `data_card.json` and `data_card.md`."""
    write_json(folder / "data_card.json", card)
    parts = [
        "# Data card",
        "## Sources",
        table(["list", "path", "licence", "rows"], map(_source_row, card["sources"])),
        "## Steps",
        table(["step", "in", "kept", "Chinese captions", "English captions"], map(_step_row, card["steps"])),
        "## Dropped",
        table(["step", "reason", "rows"], _drop_rows(card["steps"])),
        "## Thresholds",
        table(["step", "name", "value"], _threshold_rows(card["thresholds"])),
    ]
    (folder / "data_card.md").write_text("\n\n".join(parts) + "\n", errors="backslashreplace")


def _source_row(source: dict) -> list:
    return [source["list"], source["path"], source["licence"], source["rows"]]


def _step_row(step: dict) -> list:
    captions = [step["captions"].get(lang, "") for lang in ("zh", "en")]
    return [step["step"], step["input"], step["kept"], *captions]


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


def table(header: list[str], rows) -> str:
    """A Markdown table; a cell's own bars and line ends do not break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in lines)


def _cell(value: object) -> str:
    return plain_text(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))


def plain_text(text: str) -> str:
    """A stranger's text as one line of Markdown that shows it as it is: no markup, HTML or link works."""
    visible = "".join(char for char in text if unicodedata.bidirectional(char) not in DIRECTIONS)
    escaped = html.escape(" ".join(visible.split()), quote=False)
    # An underscore within a word marks nothing up.
    return re.sub(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)|^[#+=-](?=\s)", r"\\\g<0>", escaped)
