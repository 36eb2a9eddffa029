"""The compiled DAG: ten steps, the resolver and the publisher, on our image, named, sized, retried; a golden.

After a wanted change of the DAG: `DCCLIP_UPDATE_GOLDEN=1 python -m pytest tests/pipelines/test_full.py`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.full import PIPELINES
from pipelines.resolve import DATA_STEPS, PIPELINE_STEPS, STEPS
from pipelines.resources import RESOURCES

GOLDEN = Path(__file__).parent / "golden" / "dcclip-full.yaml"
UPDATE = "DCCLIP_UPDATE_GOLDEN"
IMAGE = "registry.example/dcclip:0123456789ab"
STEP_TASKS = [step.replace("_", "-") for step in STEPS]
LOOKING_UP = ["resolve-recipe", "publish-data"]
TASKS = [*LOOKING_UP, *STEP_TASKS]
COMPILE = (
    "import sys; from pipelines.cli import main; sys.argv[1:] = ['compile', '--output', sys.argv[1]]; main()"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict:
    """The pipeline as `dcclip compile` writes it for a cluster's image."""
    file = tmp_path_factory.mktemp("compiled") / "dcclip-full.yaml"
    environment = {**os.environ, "DCCLIP_IMAGE": IMAGE}
    subprocess.run([sys.executable, "-c", COMPILE, str(file)], check=True, env=environment)
    return yaml.safe_load(file.read_text())


@pytest.fixture(scope="module")
def tasks(compiled) -> dict:
    """The DAG's tasks by name."""
    return compiled["root"]["dag"]["tasks"]


@pytest.fixture(scope="module")
def containers(compiled) -> dict:
    """The tasks' containers by task."""
    executors = compiled["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor["container"] for name, executor in executors.items()}


def test_the_dag_is_ten_steps_with_a_resolver_and_a_publisher(tasks, containers):
    assert sorted(tasks) == sorted(TASKS) == sorted(containers)
    assert len(TASKS) == 12


def test_tasks_have_names_for_people(tasks):
    names = {name: task["taskInfo"]["name"] for name, task in tasks.items()}
    assert names.pop("resolve-recipe") == "Resolve the recipe"
    assert names.pop("publish-data") == "Publish the data"
    numbered = [f"{number} {step.replace('_', ' ').capitalize()}" for number, step in enumerate(STEPS, 1)]
    assert [names[name] for name in STEP_TASKS] == numbered


@pytest.mark.parametrize("name", TASKS)
def test_a_task_runs_on_our_image_with_its_resources(containers, name):
    container, wanted = containers[name], RESOURCES[name]
    assert container["image"] == IMAGE
    limits = container["resources"]
    assert (limits["resourceCpuLimit"], limits["resourceMemoryLimit"]) == (wanted.cpu, wanted.memory)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_retried_and_later_each_time(tasks, name):
    policy = tasks[name]["retryPolicy"]
    assert policy["maxRetryCount"] == RESOURCES[name].num_retries >= 2
    assert (policy["backoffDuration"], policy["backoffFactor"]) == ("30s", 2.0)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_is_installed_at_run_time(containers, name):
    assert not re.search(r"\bpip3?\b", " ".join(containers[name]["command"]))


@pytest.mark.parametrize("name", TASKS)
def test_only_what_looks_something_up_is_not_cached(tasks, name):
    assert tasks[name]["cachingOptions"].get("enableCache", False) is (name not in LOOKING_UP)


@pytest.mark.parametrize("name", STEP_TASKS)
def test_a_step_gets_its_own_config(tasks, name):
    config = tasks[name]["inputs"]["parameters"]["config"]["taskOutputParameter"]
    assert config == {"outputParameterKey": name.replace("-", "_"), "producerTask": "resolve-recipe"}


def without_code(compiled: dict) -> dict:
    """The DAG without what changes with a step's code or KFP's release."""
    executors = {
        name: {"container": {key: value for key, value in executor["container"].items() if key != "command"}}
        for name, executor in compiled["deploymentSpec"]["executors"].items()
    }
    dag = {key: value for key, value in compiled.items() if key != "sdkVersion"}
    return {**dag, "deploymentSpec": {"executors": executors}}


def test_the_dag_is_the_golden_one(compiled):
    dag = without_code(compiled)
    if os.environ.get(UPDATE):
        GOLDEN.write_text(yaml.safe_dump(dag, allow_unicode=True))
    assert dag == yaml.safe_load(GOLDEN.read_text()), (
        f"the compiled DAG is not the golden one; where the change is wanted, write it anew with {UPDATE}=1 "
        f"python -m pytest {Path(__file__).name}, and look at its diff"
    )


def dag_of(name: str) -> dict:
    """A pipeline's tasks by name."""
    return PIPELINES[name].pipeline_spec.root.dag.tasks


@pytest.mark.parametrize(
    "name, more",
    [
        ("dcclip-full", LOOKING_UP),
        ("dcclip-data", LOOKING_UP),
        ("dcclip-train", ["resolve-recipe", "take-data"]),
    ],
)
def test_a_pipeline_has_its_steps(name, more):
    steps = [step.replace("_", "-") for step in PIPELINE_STEPS[name]]
    assert sorted(dag_of(name)) == sorted([*steps, *more])


def test_the_halves_are_the_tasks_of_the_whole():
    """A task's inputs say what comes before it: the halves chain the steps as the whole does."""
    whole, data, train = (dag_of(f"dcclip-{name}") for name in ("full", "data", "train"))
    for step in STEP_TASKS:
        half = data if step.replace("-", "_") in DATA_STEPS else train
        assert sorted(half[step].inputs.artifacts) == sorted(whole[step].inputs.artifacts)
        ours, theirs = set(half[step].dependent_tasks), set(whole[step].dependent_tasks)
        assert ours - {"take-data"} == theirs & {*half, "resolve-recipe"}


def test_the_data_are_published_before_anything_is_trained(tasks):
    assert "publish-data" in tasks["distill-student"]["dependentTasks"]


def test_every_pipeline_has_the_same_parameters():
    wanted = [pipeline.component_spec.inputs for pipeline in PIPELINES.values()]
    assert wanted[0] == wanted[1] == wanted[2]
