"""The gate: whether a new student may take the champion's place, by what both answered to one exam.

Both have sat the same pictures, so what counts is the difference picture by picture. Its uncertainty is a
paired bootstrap (Efron 1979; for comparing two systems on one test set Koehn, EMNLP 2004): the pictures are
drawn anew with replacement, both students' answers and both languages' together, and the middle 95% of the
differences is the interval. A picture's difference is -1, 0 or 1 a language, so a draw is one of the counts
of a few kinds of picture, and exams of any size take the same time.
"""

from dataclasses import dataclass, field

import numpy as np

HITS = "hits.json"
NUM_DRAWS = 10_000
# The interval's ends, in percent of the draws.
INTERVAL = (2.5, 97.5)
MEAN = "mean"
Hits = dict[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """A difference of top-1 and its 95% interval, in shares of 1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        points = [100 * number for number in (self.value, self.low, self.high)]
        return "{:+.1f} points (95% interval {:+.1f} to {:+.1f})".format(*points)


@dataclass(frozen=True)
class Decision:
    """Whether a new version becomes champion, why, and the differences (`mean` and each language)."""

    promote: bool
    reason: str
    differences: dict[str, Difference] = field(default_factory=dict)


def pack(hits: Hits) -> dict[str, str]:
    """Hits as JSON has them: a `1` or `0` a picture, in the exam's order."""
    return {lang: "".join("01"[bool(hit)] for hit in row) for lang, row in hits.items()}


def unpack(packed: dict[str, str]) -> Hits:
    """What `pack` packed.

    Raises:
        ValueError: it is something else.
    """
    if any(set(row) - {"0", "1"} for row in packed.values()):
        raise ValueError("hits are written with 0 and 1")
    return {lang: np.array([mark == "1" for mark in row]) for lang, row in packed.items()}


def differences(new: Hits, old: Hits) -> dict[str, Difference]:
    """By how much `new` is better than `old` in each language, and in the mean of the languages.

    Raises:
        ValueError: the two have not answered to the same pictures in the same languages.
    """
    if {lang: len(row) for lang, row in new.items()} != {lang: len(row) for lang, row in old.items()}:
        raise ValueError("the two students have not sat the same exam")
    gains = np.stack([new[lang].astype(int) - old[lang].astype(int) for lang in sorted(new)])
    kinds, counts = np.unique(gains, axis=1, return_counts=True)
    num = counts.sum()
    draws = np.random.default_rng(0).multinomial(num, counts / num, NUM_DRAWS) @ kinds.T / num
    found = {lang: _difference(gains[row].mean(), draws[:, row]) for row, lang in enumerate(sorted(new))}
    return {**found, MEAN: _difference(gains.mean(), draws.mean(axis=1))}


def _difference(value: float, draws: np.ndarray) -> Difference:
    low, high = np.percentile(draws, INTERVAL)
    return Difference(float(value), float(low), float(high))


def decide(new: Hits, champion: Hits | None, margin: float) -> Decision:
    """Promote when the mean is better, and no language worse by more than `margin`, both beyond chance.

    Beyond chance is where the whole interval is: above zero for the mean, above -margin for each language. A
    tie keeps the champion, and so does a difference that the exam is too small to tell.

    Args:
        champion: None where there is none: then the new one is champion.
        margin: a share of 1.
    """
    if champion is None:
        return Decision(True, "the first version")
    found = differences(new, champion)
    for lang in sorted(new):
        if found[lang].low < -margin:
            reason = f"{lang} top-1 may be worse by more than {100 * margin:g} points: {found[lang]}"
            return Decision(False, reason, found)
    if found[MEAN].low <= 0:
        return Decision(False, f"the mean top-1 is not surely better: {found[MEAN]}", found)
    return Decision(True, f"the mean top-1 is better: {found[MEAN]}", found)
