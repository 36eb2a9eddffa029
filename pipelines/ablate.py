"""`dcclip ablation`: a recipe's student and phases, its finished steps and its exam, to training.ablation."""

import argparse
from dataclasses import replace
from pathlib import Path

from components.step import StepError
from infra.object_store import is_object
from pipelines.resolve import choose_recipe
from training.settings import Phase


def run(options: argparse.Namespace) -> str:
    """Train and examine the recipe's variants; returns their tables, which are in ROOT/ablation too."""
    from training import ablation, laboratory, variants

    if is_object(options.root):
        raise StepError(f"the ablation reads a run in a folder, not {options.root}")
    recipe, root = choose_recipe(options.recipe, dict(options.set)), Path(options.root)
    try:
        sources = laboratory.find_sources(root / "store", root / recipe.evaluate_student.exam)
    except FileNotFoundError as error:
        raise StepError(str(error)) from None
    shape = recipe.distill_student.student
    stages = [
        tuple(shortened(phase, options.steps) for phase in step.phases)
        for step in (recipe.distill_student, recipe.align_student)
    ]
    known = variants.claim_variants(shape, *stages)
    known += variants.technique_variants(shape, *stages, sources.teacher)
    wanted = (variants.BASELINE, *(options.only or [""]))
    chosen = [item for item in known if any(text in item.name for text in wanted)]
    return ablation.run_ablation(chosen, sources, options.seeds, root / "ablation")


def shortened(phase: Phase, share: float) -> Phase:
    """The phase with a share of its steps."""
    return replace(phase, num_steps=max(1, round(phase.num_steps * share)))
