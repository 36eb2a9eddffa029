"""The ablation's tables: means, deviations and differences over seeds, in percent, as Markdown."""

import numpy as np

from training.laboratory import LANGUAGES
from training.variants import BASELINE, Variant


def tables(variants: list[Variant], found: dict[str, list[dict]]) -> str:
    """Markdown: one table a question, means and standard deviations over seeds in percent."""
    parts = []
    for title in dict.fromkeys(variant.table for variant in variants):
        names = [variant.name for variant in variants if variant.table == title]
        if BASELINE in found and BASELINE not in names:
            names.insert(0, BASELINE)
        parts.append(f"## {title}\n\n" + "\n".join(_rows(names, found)))
    num_seeds = len(next(iter(found.values())))
    head = f"# Ablation\n\nZero-shot top-1 on unseen concepts, percent, mean ± sd over {num_seeds} seeds.\n"
    return head + "\n" + "\n\n".join(parts) + "\n"


def _rows(names: list[str], found: dict[str, list[dict]]) -> list[str]:
    rows = ["| variant | en | zh | en − baseline | zh − baseline | seconds |", "|---|---|---|---|---|---|"]
    for name in names:
        columns = [_spread([result[lang] for result in found[name]]) for lang in LANGUAGES]
        columns += [_difference(found[name], found.get(BASELINE), lang, name) for lang in LANGUAGES]
        seconds = np.mean([result["seconds"] for result in found[name]])
        rows.append(f"| {name} | {' | '.join(columns)} | {seconds:.0f} |")
    return rows


def _spread(shares: list[float], sign: str = "") -> str:
    """Mean and sample standard deviation of shares, in percent."""
    percent = 100 * np.array(shares)
    deviation = f" ± {percent.std(ddof=1):.1f}" if len(percent) > 1 else ""
    return f"{percent.mean():{sign}.1f}{deviation}"


def _difference(results: list[dict], baseline: list[dict] | None, lang: str, name: str) -> str:
    """Difference to the baseline, seed by seed."""
    if baseline is None or name == BASELINE:
        return ""
    gaps = [own[lang] - other[lang] for own, other in zip(results, baseline, strict=True)]
    return _spread(gaps, "+")
