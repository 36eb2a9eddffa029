"""Variants of a recipe's training for the ablation table: the recipe with one thing changed.

Left out on purpose: sweeps of weights and rates. A technique that is added gets the contrast's weight, one
that takes another's place gets its weight.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from training.settings import Phase, StudentShape

BASELINE = "both stages"


@dataclass(frozen=True)
class Variant:
    """A way to train: its name, the table it belongs to, the student's shape and its phases in order."""

    name: str
    table: str
    shape: StudentShape
    phases: tuple[Phase, ...]


def claim_variants(
    shape: StudentShape, stage1: tuple[Phase, ...], stage2: tuple[Phase, ...]
) -> list[Variant]:
    """The paper's claim that both stages are needed, in four rows of as many steps in all.

    Without stage 1 the contrast is alone and at stage 1's pace: stage 2's own is that of a finishing touch.
    """
    rate = min(phase.learning_rate for phase in stage1)
    steps = sum(phase.num_steps for phase in (*stage1, *stage2))
    alone = replace(stage2[0], data="pairs", terms={"contrastive": 1.0}, num_steps=steps, learning_rate=rate)
    untaught = replace(shape, inherit_image="", inherit_text=False)
    table = "Are both stages needed?"
    return [
        Variant(BASELINE, table, shape, (*stage1, *stage2)),
        Variant("stage 1 only", table, shape, stage1),
        Variant("stage 2 only, inherited start", table, shape, (alone,)),
        Variant("from scratch, no teacher", table, untaught, (alone,)),
    ]


def technique_variants(
    shape: StudentShape, stage1: tuple[Phase, ...], stage2: tuple[Phase, ...], teacher: Path | None
) -> list[Variant]:
    """The recipe with one technique more, less or exchanged."""
    changes1 = {
        "SmoothL1 instead of cosine": lambda phase: exchange(
            phase, {"image_feature": "image_smooth_l1", "text_feature": "text_smooth_l1"}
        ),
        "no affinity": lambda phase: without(phase, "image_affinity", "text_affinity"),
        "Chinese text to English vectors too": _cross_lingual,
        "feature maps added": lambda phase: _with_maps(phase, teacher, phase.terms),
        "feature maps alone (the paper's form)": lambda phase: _with_maps(phase, teacher, {}),
    }
    weight = max(stage2[0].terms.get("contrastive", 0.0), 0.1)
    taught = {name for phase in stage1 for name in phase.terms}
    changes2 = {
        "hard targets (plain InfoNCE)": lambda phase: exchange(phase, {"contrastive": "plain_contrastive"}),
        "momentum distillation (ALBEF)": lambda phase: exchange(
            phase, {"contrastive": "momentum_contrastive"}
        ),
        "noise-aware targets (NLIP)": lambda phase: exchange(
            phase, {"contrastive": "noise_aware_contrastive"}
        ),
        "grouped hard negatives (GRIT-VLP)": lambda phase: replace(phase, group_window=16),
        "code-mixed captions": lambda phase: replace(phase, code_mix=0.3),
        "translation contrast (InfoXLM)": lambda phase: plus(phase, translation_contrastive=weight),
        "affinity of both towers (TinyCLIP)": lambda phase: plus(phase, affinity=1.0),
        "image tower locked (LiT)": _locked_image,
        "no stage-1 terms": lambda phase: without(phase, *taught),
    }
    first = [
        Variant(name, "Stage 1: one change", shape, (*map(change, stage1), *stage2))
        for name, change in changes1.items()
    ]
    second = [
        Variant(name, "Stage 2: one change", shape, (*stage1, *map(change, stage2)))
        for name, change in changes2.items()
    ]
    return first + second


def exchange(phase: Phase, names: dict[str, str]) -> Phase:
    """The phase with terms renamed, at their weights."""
    return replace(phase, terms={names.get(name, name): weight for name, weight in phase.terms.items()})


def without(phase: Phase, *names: str) -> Phase:
    """The phase with fewer terms."""
    return replace(phase, terms={name: weight for name, weight in phase.terms.items() if name not in names})


def plus(phase: Phase, **terms: float) -> Phase:
    """The phase with more terms."""
    return replace(phase, terms={**phase.terms, **terms})


def _cross_lingual(phase: Phase) -> Phase:
    """A text phase that sees pairs beside its texts, as translations are there."""
    if phase.towers != ("text",):
        return phase
    pairs = max(2, phase.batch_size // 4)
    mixed = replace(phase, data="both", batch_size=pairs, text_batch_size=phase.batch_size - pairs)
    return plus(mixed, cross_lingual_feature=0.5)


def _with_maps(phase: Phase, teacher: Path | None, terms: dict[str, float]) -> Phase:
    """An image phase taught feature maps beside `terms`."""
    if phase.towers != ("image",):
        return phase
    return replace(phase, terms={**terms, "feature_map": 1.0}, online_teacher=str(teacher))


def _locked_image(phase: Phase) -> Phase:
    taught = [name for name in phase.terms if name.startswith("image_")]
    return replace(without(phase, *taught), towers=("text",), locked=("image",))
