"""What published exams gave: means over sets, and lines for a person."""

from training.exams.duplicates import describe

SHOWN = {
    "accuracy": "top-1",
    "mean-per-class": "mean per class",
    "11point_mAP": "11-point mAP",
    "roc_auc": "ROC AUC",
}


def averages(sets: list[dict]) -> dict[str, dict]:
    """`all` sets, and those `without_near_chance`: by model and language mean and num_sets.

    Each set counts the same with its own metric's figure, as in ELEVATER; one without a value is left out.
    """
    chosen = {"all": sets, "without_near_chance": [item for item in sets if not item["near_chance"]]}
    return {name: _means(items) for name, items in chosen.items()}


def _means(sets: list[dict]) -> dict[str, dict[str, dict]]:
    found: dict[str, dict[str, list[float]]] = {}
    for item in sets:
        for model, by_language in item["figures"].items():
            for lang, figures in by_language.items():
                values = found.setdefault(model, {}).setdefault(lang, [])
                values += [] if figures["figure"] is None else [figures["figure"]]
    return {
        model: {
            lang: {"mean": sum(values) / len(values) if values else None, "num_sets": len(values)}
            for lang, values in by_language.items()
        }
        for model, by_language in found.items()
    }


def summary(exam: dict) -> dict:
    """The exam without its sets' figures: what goes into the step's facts."""
    return {
        **{name: exam[name] for name in ("name", "kind", "num_asked", "averages")},
        "sat": [item["set"] for item in exam["sets"]],
        "skipped": exam["skipped"],
    }


def table(exam: dict) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of texts: a row a set and one an average, a column a model and language."""
    cells = exam_cells(exam)
    header = ["set", "figure", *(f"{model} {lang}" for model, lang in cells)]
    rows = []
    for item in exam["sets"]:
        for name, pick in FIGURES[exam["kind"]](item):
            values = [pick(item["figures"].get(model, {}).get(lang)) for model, lang in cells]
            rows.append([item["set"], name, *map(percent, values)])
    for name, means in exam["averages"].items():
        found = [means.get(model, {}).get(lang, {}) for model, lang in cells]
        counts = sorted({cell.get("num_sets", 0) for cell in found})
        over = " or ".join(map(str, counts)) or "0"
        label = f"mean of {over} of {exam['num_asked']} sets"
        rows.append([label, name.replace("_", " "), *(percent(cell.get("mean")) for cell in found)])
    return header, rows


def notes(exam: dict) -> list[str]:
    """What is to be known beside the figures of each set: shared names, ties, what was left out."""
    found = []
    for item in exam["sets"]:
        if shared := item.get("duplicate_names"):
            found.append(
                f"{item['set']}: classes share a name ({describe(shared)}); the first of them is taken"
            )
        if ties := _ties(item):
            found.append(f"{item['set']}: with ties as wrong answers {ties}")
        if left_out := reasons(item.get("num_unreadable", 0), item.get("left_out", {})):
            found.append(f"{item['set']}: left out {left_out}")
    return found


def own_notes(results: dict) -> list[str]:
    """The same of a run's own evaluation, `results.json`."""
    found = []
    if shared := results.get("duplicate_names"):
        ties = ", ".join(
            f"{model} {lang} {percent(value)}%"
            for model, by_language in results["ties_wrong"].items()
            for lang, value in by_language.items()
        )
        found.append(
            f"Classes share a name ({describe(shared)}): the first of them is taken for the answer. Where "
            f"such a tie counts as wrong, top-1 is {ties}."
        )
    if left_out := reasons(results.get("num_unreadable", 0), results.get("left_out", {})):
        found.append(f"Left out: {left_out}.")
    return found


def _ties(item: dict) -> str:
    return ", ".join(
        f"{model} {lang} {percent(figures['ties_wrong'])}"
        for model, by_language in item["figures"].items()
        for lang, figures in by_language.items()
        if "ties_wrong" in figures
    )


def reasons(num_unreadable: int, left_out: dict[str, int]) -> str:
    """How many files are in no figure, by reason; empty where all are."""
    counts = {**left_out, "unreadable": num_unreadable}
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)


def exam_cells(exam: dict) -> list[tuple[str, str]]:
    """Models and languages that occur, in the order in which they were examined."""
    return list(
        dict.fromkeys(
            (model, lang)
            for item in exam["sets"]
            for model, by_language in item["figures"].items()
            for lang in by_language
        )
    )


def _classification_rows(item: dict) -> list:
    return [(SHOWN[item["metric"]], lambda figures: figures and figures["figure"])]


def _retrieval_rows(item: dict) -> list:
    def recall(direction: str, k: str):
        return lambda figures: figures and figures[direction][k]

    rows = [
        (f"{direction.replace('_', ' ')} {k.replace('r', 'R@')}", recall(direction, k))
        for direction in ("text_to_image", "image_to_text")
        for k in ("r1", "r5", "r10")
    ]
    return [*rows, ("mean recall", lambda figures: figures and figures["mean_recall"])]


FIGURES = {
    "elevater": _classification_rows,
    "classification": _classification_rows,
    "retrieval": _retrieval_rows,
}


def percent(value: float | None) -> str:
    """A share with two decimals, a dash for none."""
    return "–" if value is None else f"{100 * value:.2f}"


def lines(exam: dict) -> list[str]:
    """The table as aligned text, notes on sets, and what was skipped for which reason."""
    header, rows = table(exam)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    text = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True))
        for row in (header, *rows)
    ]
    return [*text, *notes(exam), *(f"skipped {item['set']}: {item['reason']}" for item in exam["skipped"])]
