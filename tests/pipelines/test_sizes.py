"""Sizes of pods: what a recipe says, what is made of it, what is refused."""

import pytest

from components.step import StepError
from pipelines.recipes import RECIPES
from pipelines.resolve import choose_recipe
from pipelines.resources import PLACEMENTS, RESOLVER
from pipelines.sizes import ACCELERATOR, GPU_TOLERATION, STEPS, memory_bytes, pod_of

GIB = 2**30
NODE_BYTES = 16 * GIB


def pods_of(recipe: str, **overrides) -> dict[str, dict]:
    """Each step's pod; `__` in a name stands for a dot."""
    chosen = choose_recipe(recipe, {name.replace("__", "."): value for name, value in overrides.items()})
    return {step: pod_of(getattr(chosen.resources, step), chosen.gpu) for step in STEPS}


def test_every_task_but_the_resolver_has_a_size():
    assert {step.replace("_", "-") for step in STEPS} == PLACEMENTS.keys() - {"resolve-recipe"}


@pytest.mark.parametrize("recipe", ["demo", "smoke"])
def test_a_small_recipe_fits_a_small_node(recipe):
    """Beside all else that is there: tests/infra/test_kind_overlay.py."""
    for pod in [*pods_of(recipe).values(), RESOLVER]:
        assert cpus(pod["cpu"]) <= 1
        assert memory_bytes(pod["memory_limit"]) <= NODE_BYTES / 2
    assert not any(pod["accelerator"] for pod in pods_of(recipe).values())


def cpus(text: str) -> float:
    """A quantity of CPUs as a number."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def test_full_has_its_own():
    pods = pods_of("full")
    assert (pods["download_pairs"]["cpu"], pods["download_pairs"]["memory"]) == ("16", "32Gi")
    assert (pods["filter_pairs"]["cpu_limit"], pods["filter_pairs"]["memory_limit"]) == ("4", "16Gi")
    assert pods["distill_student"]["gpus"] == "0" and pods["distill_student"]["accelerator"] == ""
    assert (pods["distill_student"]["node_selector"], pods["distill_student"]["tolerations"]) == ({}, [])


def test_a_kind_of_gpu_is_one_word_of_the_recipe():
    pods = pods_of("full", gpu="h100")
    asked = {step: pod["gpus"] for step, pod in pods.items() if pod["accelerator"]}
    assert asked == {
        "embed_pairs": "8",
        "distill_student": "8",
        "align_student": "8",
        "evaluate_student": "1",
    }
    for step in asked:
        assert pods[step]["accelerator"] == ACCELERATOR
        assert pods[step]["node_selector"] == {"dcclip/gpu": "h100"}
        assert pods[step]["tolerations"] == [GPU_TOLERATION]
    assert (pods["align_student"]["cpu"], pods["align_student"]["memory"]) == ("96", "512Gi")
    assert pods["filter_pairs"] == pods_of("full")["filter_pairs"]


@pytest.mark.parametrize(
    "overrides, wanted",
    [
        ({"memory": "64Gi"}, {"memory": "64Gi", "memory_limit": "64Gi", "cpu": "1", "cpu_limit": "4"}),
        ({"memory_limit": "12Gi"}, {"memory": "3Gi", "memory_limit": "12Gi"}),
        ({"cpu": "0.5"}, {"cpu": "0.5", "cpu_limit": "4"}),
        ({"cpu": 6.0}, {"cpu": "6", "cpu_limit": "6"}),
        ({"node_selector": {"disk": "ssd"}}, {"node_selector": {"disk": "ssd"}}),
        ({"tolerations": '[{"key": "spot"}]'}, {"tolerations": [{"key": "spot"}]}),
    ],
)
def test_a_size_is_overridden_as_any_value(overrides, wanted):
    step = "distill_student"
    named = {f"resources__{step}__{name}": value for name, value in overrides.items()}
    before, after = pods_of("demo"), pods_of("demo", **named)
    assert {name: after[step][name] for name in wanted} == wanted
    assert {name for name in STEPS if before[name] != after[name]} == {step}


def test_gpus_may_be_fewer():
    pods = pods_of("full", gpu="a100", resources__distill_student__gpus=2)
    assert (pods["distill_student"]["gpus"], pods["distill_student"]["cpu"]) == ("2", "24")


@pytest.mark.parametrize(
    "dotted, value, words",
    [
        ("resources.distill_student.memory", "64GB", "'64GB' is no amount of memory; write 512Mi, 16Gi"),
        ("resources.distill_student.memory", "64", "'64' is 64 bytes, too little for a step"),
        ("resources.distill_student.memory", "-1Gi", "'-1Gi' is no amount of memory"),
        ("resources.distill_student.memory", 64, "should be of the type of '3Gi'"),
        ("resources.distill_student.memory_limit", "lots", "'lots' is no amount of memory"),
        ("resources.distill_student.cpu", "500m", "'500m' is no value; 1.0 stands there now"),
        ("resources.distill_student.cpu", "-1", "cpu=-1 of a pod should be a number from 0"),
        ("resources.distill_student.gpus", "-1", "gpus=-1 of a pod should be a number from 0"),
        ("resources.distill_student.node_selector", '{"a": 1}', "node_selector holds labels"),
        ("resources.distill_student.tolerations", '["a"]', "tolerations are written"),
        ("resources.distil_student.cpu", "1", "no value 'resources.distil_student.cpu'; there is download"),
        ("gpu", "a100", "gpu='a100', but no step asks for GPUs: say how many, resources.distill_student.gpu"),
        ("gpu", "an a100", "gpu='an a100' is no value of a node's label dcclip/gpu"),
    ],
)
def test_a_size_that_is_none_is_refused(dotted, value, words):
    with pytest.raises(StepError, match=words):
        choose_recipe("demo", {dotted: value})


def test_texts_are_what_the_driver_reads():
    """A number would be taken for nothing (pipelines/resources.py)."""
    for recipe in RECIPES:
        for pod in pods_of(recipe).values():
            texts = list(pod.values())[:6]
            assert all(isinstance(value, str) for value in texts) and len(pod) == 8
            # Of these an empty text is an error of Kubernetes' parser.
            assert all(pod[name] for name in ("cpu", "cpu_limit", "memory", "memory_limit"))
