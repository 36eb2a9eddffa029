"""Step 0's face: what it returns by position is the steps' configs, the data set's, and the pods' sizes."""

from components.resolve_recipe import resolve_recipe
from pipelines import sizes
from pipelines.resolve import STEPS
from pipelines.sizes import POD_FIELDS, Resources, pod_outputs

PODS = [f"{step}_{field}" for step in sizes.STEPS for field in POD_FIELDS]
FIELDS = resolve_recipe.python_func.__annotations__["return"]._fields


def test_outputs_are_named_after_the_steps_in_order():
    assert FIELDS[: len(STEPS) + 1] == (*STEPS, "dataset")


def test_then_come_the_pods_as_they_are_counted_out():
    assert list(FIELDS[len(STEPS) + 1 :]) == PODS
    assert len(pod_outputs(Resources(), "")) == len(PODS)


def test_outputs_have_the_types_that_they_are_declared_with():
    kinds = resolve_recipe.python_func.__annotations__["return"].__annotations__
    given = dict(zip(PODS, pod_outputs(Resources(), "a100"), strict=True))
    assert {name: type(value) for name, value in given.items()} == {name: kinds[name] for name in PODS}
