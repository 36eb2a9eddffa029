"""Step 0's face: the configs it returns by position are the steps in their order, then the data set's."""

from components.resolve_recipe import resolve_recipe
from pipelines.resolve import STEPS


def test_outputs_are_named_after_the_steps_in_order():
    assert resolve_recipe.python_func.__annotations__["return"]._fields == (*STEPS, "dataset")
