"""The gate: who may replace the champion, decided picture by picture and beyond chance."""

import numpy as np
import pytest

from training import gate

MARGIN = 0.01
NUM = 1_000


def answers(zh: float, en: float, num: int = NUM) -> gate.Hits:
    """The first pictures are right, so that a better student is right wherever a worse one is."""
    return {lang: np.arange(num) < share * num for lang, share in (("zh", zh), ("en", en))}


OLD = answers(0.5, 0.6)


@pytest.mark.parametrize(
    ("new", "promote", "reason"),
    [
        (answers(0.6, 0.7), True, "the mean top-1 is better: +10.0 points (95% interval +"),
        (answers(0.499, 0.7), True, "the mean top-1 is better"),
        (answers(0.48, 0.9), False, "zh top-1 may be worse by more than 1 points: -2.0 points"),
        (answers(0.9, 0.58), False, "en top-1 may be worse by more than 1 points"),
        (answers(0.499, 0.6), False, "the mean top-1 is not surely better: -0.1 points"),
        (answers(0.501, 0.601), False, "the mean top-1 is not surely better: +0.1 points"),
        (OLD, False, "the mean top-1 is not surely better: +0.0 points (95% interval +0.0 to +0.0)"),
    ],
    ids=["better", "worse within the margin", "zh worse", "en worse", "worse on average", "by chance", "tie"],
)
def test_a_champion_is_replaced_by_a_surely_better_one_only(new, promote, reason):
    decision = gate.decide(new, OLD, MARGIN)
    assert decision.reason.startswith(reason)
    assert decision.promote is promote


def test_an_exam_too_small_to_tell_keeps_the_champion():
    rng = np.random.default_rng(3)
    small, large = (
        [{lang: rng.random(num) < share for lang in ("zh", "en")} for share in (0.5, 0.56)]
        for num in (60, 20_000)
    )
    assert not gate.decide(small[1], small[0], MARGIN).promote
    assert gate.decide(large[1], large[0], MARGIN).promote


def test_the_first_version_is_champion_however_bad():
    assert gate.decide(answers(0, 0), None, MARGIN) == gate.Decision(True, "the first version")


def test_the_interval_is_that_of_drawing_pictures_anew():
    rng = np.random.default_rng(1)
    new, old = ({lang: rng.random(200) < share for lang in ("zh", "en")} for share in (0.6, 0.5))
    found = gate.differences(new, old)
    gains = {lang: new[lang].astype(int) - old[lang] for lang in new}
    gains["mean"] = (gains["zh"] + gains["en"]) / 2
    rows = rng.integers(0, 200, (4_000, 200))
    for name, gain in gains.items():
        low, high = np.percentile(gain[rows].mean(axis=1), [2.5, 97.5])
        assert found[name].value == pytest.approx(gain.mean())
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.012)


def test_the_same_answers_are_always_decided_the_same():
    new = answers(0.52, 0.61)
    assert gate.decide(new, OLD, MARGIN) == gate.decide(new, OLD, MARGIN)


@pytest.mark.parametrize("other", [answers(0.5, 0.5, num=NUM - 1), {"zh": OLD["zh"]}])
def test_answers_to_different_exams_are_not_compared(other):
    with pytest.raises(ValueError, match="not sat the same exam"):
        gate.decide(OLD, other, MARGIN)


def test_packed_hits_come_back():
    packed = gate.pack({"zh": np.array([True, False, True])})
    assert packed == {"zh": "101"}
    assert gate.unpack(packed)["zh"].tolist() == [True, False, True]


def test_what_is_no_hits_is_refused():
    with pytest.raises(ValueError, match="0 and 1"):
        gate.unpack({"zh": "10x"})
