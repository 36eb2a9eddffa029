"""How many samples a recipe's training sees."""

from infra.estimate import Training
from pipelines.recipes import Recipe


def samples_seen(recipe: Recipe) -> Training:
    """Of all phases of both stages: pairs with a picture, and texts alone."""
    counts = {True: 0, False: 0}
    for phase in (*recipe.distill_student.phases, *recipe.align_student.phases):
        counts["image" in phase.towers] += phase.num_steps * phase.batch_size
    return Training(pairs=counts[True], texts=counts[False])
