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
from pipelines.resources import PLACEMENTS, RESOLVER
from pipelines.sizes import POD_FIELDS
from spark_jobs.kubernetes import SETTINGS

GOLDEN = Path(__file__).parent / "golden" / "dcclip-full.yaml"
UPDATE = "DCCLIP_UPDATE_GOLDEN"
IMAGE = "registry.example/dcclip:0123456789ab"
STEP_TASKS = [step.replace("_", "-") for step in STEPS]
LOOKING_UP = ["resolve-recipe", "publish-data"]
TASKS = [*LOOKING_UP, *STEP_TASKS]
SIZED = [*STEP_TASKS, "publish-data"]
COMPILE = (
    "import sys; from pipelines.cli import main; "
    "sys.argv[1:] = ['compile', '--output', *sys.argv[1:]]; main()"
)


def compile_for(file: Path, *options: str) -> tuple[dict, dict]:
    """(pipeline, what Kubernetes does for it) as `dcclip compile` writes them for a cluster's image."""
    environment = {**os.environ, "DCCLIP_IMAGE": IMAGE}
    subprocess.run([sys.executable, "-c", COMPILE, str(file), *options], check=True, env=environment)
    pipeline, platform = yaml.safe_load_all(file.read_text())
    return pipeline, platform


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> tuple[dict, dict]:
    """Both halves of the compiled pipeline."""
    return compile_for(tmp_path_factory.mktemp("compiled") / "dcclip-full.yaml")


@pytest.fixture(scope="module")
def compiled(documents) -> dict:
    """The pipeline."""
    return documents[0]


@pytest.fixture(scope="module")
def pods(documents) -> dict:
    """What Kubernetes does for the tasks' pods, by task."""
    return pods_of(documents[1])


def pods_of(platform: dict) -> dict:
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): pod for name, pod in executors.items()}


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
    container = containers[name]
    assert container["image"] == IMAGE
    asked = container["resources"]
    wanted = RESOLVER if name == "resolve-recipe" else {each: channel(name, each) for each in POD_FIELDS}
    assert asked["resourceCpuRequest"] == wanted["cpu"]
    assert asked["resourceCpuLimit"] == wanted["cpu_limit"]
    assert asked["resourceMemoryRequest"] == wanted["memory"]
    assert asked["resourceMemoryLimit"] == wanted["memory_limit"]


@pytest.mark.parametrize("name", SIZED)
def test_gpus_and_nodes_are_the_recipes(containers, pods, name):
    accelerator = containers[name]["resources"]["accelerator"]
    assert accelerator == {
        "resourceType": channel(name, "accelerator"),
        "resourceCount": channel(name, "gpus"),
    }
    selector = pods[name]["nodeSelector"]["nodeSelectorJson"]["taskOutputParameter"]
    assert selector == {"producerTask": "resolve-recipe", "outputParameterKey": output(name, "node_selector")}
    (toleration,) = pods[name]["tolerations"]
    found = toleration["tolerationJson"]["taskOutputParameter"]
    assert found == {"producerTask": "resolve-recipe", "outputParameterKey": output(name, "tolerations")}


def output(task: str, field: str) -> str:
    """The resolver's output for a task's pod."""
    return f"{task.replace('-', '_')}_{field}"


def channel(task: str, field: str) -> str:
    """That output as Kubeflow's driver finds it among the task's inputs."""
    return f"{{{{$.inputs.parameters['pipelinechannel--resolve-recipe-{output(task, field)}']}}}}"


@pytest.mark.parametrize("name", SIZED)
def test_what_a_pod_needs_is_among_the_inputs_of_its_task(compiled, tasks, name):
    """The driver looks there alone (resolve.go:818), and takes a text and nothing else."""
    given = tasks[name]["inputs"]["parameters"]
    outputs = compiled["components"]["comp-resolve-recipe"]["outputDefinitions"]["parameters"]
    kinds = {field: outputs[output(name, field)]["parameterType"] for field in POD_FIELDS}
    assert (kinds.pop("node_selector"), kinds.pop("tolerations")) == ("STRUCT", "LIST")
    for field, kind in kinds.items():
        found = given[f"pipelinechannel--resolve-recipe-{output(name, field)}"]["taskOutputParameter"]
        assert found == {"producerTask": "resolve-recipe", "outputParameterKey": output(name, field)}
        assert kind == "STRING"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_retried_and_later_each_time(tasks, name):
    policy = tasks[name]["retryPolicy"]
    assert policy["maxRetryCount"] == PLACEMENTS[name].num_retries >= 2
    assert (policy["backoffDuration"], policy["backoffFactor"]) == ("30s", 2.0)


@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_retries_last_as_long_as_all_attempts_may(pipeline):
    """Argo counts from the start of the first (argo-workflows v4.0.5, operator.go:1037)."""
    spec = PIPELINES[pipeline].pipeline_spec
    executors = PIPELINES[pipeline].platform_spec.platforms["kubernetes"].deployment_spec.executors
    for name, task in spec.root.dag.tasks.items():
        limit = int(executors[f"exec-{name}"]["activeDeadlineSeconds"])
        policy = task.retry_policy
        assert policy.backoff_max_duration.seconds >= limit * (policy.max_retry_count + 1), name


@pytest.mark.parametrize("name", TASKS)
def test_nothing_is_installed_at_run_time(containers, name):
    assert not re.search(r"\bpip3?\b", " ".join(containers[name]["command"]))


@pytest.mark.parametrize("name", PIPELINES)
def test_no_task_asks_for_kfps_cache(name):
    """A hit never looks whether the result is still there."""
    tasks = dag_of(name)
    assert [task for task in tasks if tasks[task].caching_options.enable_cache] == []
    assert all(tasks[task].HasField("caching_options") for task in tasks)


@pytest.mark.parametrize("name", STEP_TASKS)
def test_a_step_gets_its_own_config(tasks, name):
    config = tasks[name]["inputs"]["parameters"]["config"]["taskOutputParameter"]
    assert config == {"outputParameterKey": name.replace("-", "_"), "producerTask": "resolve-recipe"}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_its_place_in_the_cluster(pods, name):
    pod, wanted = pods[name], PLACEMENTS[name]
    assert int(pod["activeDeadlineSeconds"]) == wanted.max_hours * 3600
    labels = pod["podMetadata"]["labels"]
    assert labels["dcclip/network"] == ("internet" if wanted.internet else "cluster")
    assert (labels["app.kubernetes.io/part-of"], labels["dcclip/role"]) == ("dcclip", "step")
    assert pod["securityContext"]["runAsNonRoot"]
    assert [mount["mountPath"] for mount in pod["pvcMount"]] == ["/mnt/dcclip"]
    assert {secret["secretName"] for secret in pod["secretAsEnv"]} == {name for name, _ in wanted.secrets}


@pytest.mark.parametrize("name", TASKS)
def test_a_pod_knows_what_its_spark_executors_need(pods, name):
    variables = {field["name"]: field["fieldPath"] for field in pods[name]["fieldPathAsEnv"]}
    assert set(variables) == set(SETTINGS)
    assert variables["DCCLIP_IMAGE"] == "metadata.annotations['dcclip/image']"
    assert pods[name]["podMetadata"]["annotations"]["dcclip/image"] == IMAGE


@pytest.mark.parametrize("name", TASKS)
def test_an_image_that_a_node_has_is_not_pulled(pods, name):
    assert pods[name]["imagePullPolicy"] == "IfNotPresent"


def test_nothing_is_said_in_the_containers_environment(containers):
    """KFP's local runner would say it on a laptop too."""
    assert not any("env" in container for container in containers.values())


def without_code(compiled: dict) -> dict:
    """The DAG without what changes with a step's code or KFP's release."""
    executors = {
        name: {"container": {key: value for key, value in executor["container"].items() if key != "command"}}
        for name, executor in compiled["deploymentSpec"]["executors"].items()
    }
    dag = {key: value for key, value in compiled.items() if key != "sdkVersion"}
    return {**dag, "deploymentSpec": {"executors": executors}}


def test_the_dag_is_the_golden_one(documents):
    both = [without_code(documents[0]), documents[1]]
    if os.environ.get(UPDATE):
        GOLDEN.write_text(yaml.safe_dump_all(both, allow_unicode=True))
    assert both == list(yaml.safe_load_all(GOLDEN.read_text())), (
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
