"""The small cluster: images by content that nobody pulls; all of it on one node with Kubeflow and a step."""

import re
import subprocess

import pytest
import yaml

from infra import render as rendering
from infra.images.build import IMAGES, Settings, image_name
from pipelines.recipes import RECIPES
from pipelines.resources import RESOLVER
from pipelines.sizes import STEPS, memory_bytes, pod_of
from tests.infra.manifests import named, pod_templates

GIB = 2**30
NODE = (4.0, 16 * GIB)
# Requests of what we do not install: kind's control plane, and Kubernetes' own pods on a node; Kubeflow
# Pipelines 2.17.0 rendered by infra/manifests/kubeflow; KubeRay's operator (its Helm chart's); a driver's pod
# (kubeflow/pipelines 2.17.0, backend/src/v2/compiler/argocompiler/argo.go:555) and its launcher's copy.
KUBERNETES, KUBEFLOW, KUBERAY, DRIVER = (0.95, 0.3), (0.68, 3.1), (0.1, 0.5), (0.2, 0.2)


@pytest.fixture(scope="module")
def objects() -> list[dict]:
    try:
        return list(yaml.safe_load_all(rendering.render("kind")))
    except SystemExit as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pods(objects) -> dict[str, dict]:
    return pod_templates(objects)


def cpus(text: str) -> float:
    """A quantity of CPUs as a number."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def asked(resources: dict) -> tuple[float, float]:
    """(CPUs, bytes) of requests."""
    return cpus(str(resources["requests"]["cpu"])), memory_bytes(resources["requests"]["memory"])


def test_images_have_tags_by_content(pods):
    images = {
        each["image"] for name, pod in pods.items() if name != "spark executor" for each in containers(pod)
    }
    ours = {image for image in images if "dcclip" in image}
    assert ours == {image_name(IMAGES["cpu"], Settings())}
    assert all(re.fullmatch(r"localhost/dcclip-python:[0-9a-f]{32}", image) for image in ours)
    assert not any(image.endswith(":latest") for image in images)


def test_an_image_of_ones_own_is_taken(monkeypatch, pods):
    monkeypatch.setenv("DCCLIP_IMAGE", "registry.example/dcclip-python:1")
    objects = list(yaml.safe_load_all(rendering.render("kind")))
    found = {
        each["image"]
        for pod in pod_templates(objects).values()
        for each in containers(pod)
        if "image" in each
    }
    assert "registry.example/dcclip-python:1" in found and not any("CONTENT" in image for image in found)


def containers(pod: dict) -> list[dict]:
    return pod["spec"]["containers"]


@pytest.mark.parametrize("overlay", ["kind", "cloud"])
def test_what_a_node_has_is_not_pulled(overlay):
    try:
        objects = list(yaml.safe_load_all(rendering.render(overlay)))
    except SystemExit as error:
        pytest.skip(str(error))
    for name, pod in pod_templates(objects).items():
        # Spark's setting, below.
        if name != "spark executor":
            assert {each.get("imagePullPolicy") for each in containers(pod)} == {"IfNotPresent"}, name
    (cluster,) = named(objects, "RayCluster").values()
    assert cluster["spec"]["autoscalerOptions"]["imagePullPolicy"] == "IfNotPresent"
    settings = named(objects, "ConfigMap")["dcclip/dcclip-spark"]["data"]["defaults.conf"]
    assert re.search(r"^spark\.kubernetes\.container\.image\.pullPolicy +IfNotPresent$", settings, re.M)


def test_the_file_that_is_applied_is_written(tmp_path, monkeypatch, objects, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["render", "kind"])
    rendering.main()
    assert capsys.readouterr().out == "wrote dist/manifests/kind.yaml\n"
    assert list(yaml.safe_load_all((tmp_path / "dist/manifests/kind.yaml").read_text())) == objects


def test_what_kustomize_refuses_ends_it(monkeypatch):
    monkeypatch.setattr(rendering, "OVERLAYS", rendering.OVERLAYS / "nowhere")
    with pytest.raises((subprocess.CalledProcessError, SystemExit)):
        rendering.render("kind")


@pytest.mark.parametrize("recipe", ["demo", "smoke"])
def test_all_of_it_fits_a_small_node_with_the_largest_step(objects, pods, recipe):
    (cluster,) = named(objects, "RayCluster").values()
    always = [
        asked(each["resources"]) for name, pod in pods.items() if standing(name) for each in containers(pod)
    ]
    always.append(asked(cluster["spec"]["autoscalerOptions"]["resources"]))
    others = [(cpu, gib * GIB) for cpu, gib in (KUBERNETES, KUBEFLOW, KUBERAY, DRIVER)]
    values = RECIPES[recipe]().resources
    steps = [pod_of(getattr(values, step), "") for step in STEPS] + [RESOLVER]
    largest = [max(cpus(pod["cpu"]) for pod in steps), max(memory_bytes(pod["memory"]) for pod in steps)]
    for kind in (0, 1):
        together = sum(each[kind] for each in always + others) + largest[kind]
        # A Ray worker, or two Spark executors, beside the step that asked for them.
        worker = asked(containers(pods["ray cpu"])[0]["resources"])[kind]
        assert together + worker <= NODE[kind]
        assert together + executors(objects)[kind] <= NODE[kind]


def standing(name: str) -> bool:
    """Whether a pod is there all the time."""
    return name not in ("ray cpu", "spark executor")


def executors(objects: list[dict]) -> tuple[float, float]:
    """(CPUs, bytes) that all of Spark's executors ask for."""
    text = named(objects, "ConfigMap")["dcclip/dcclip-spark"]["data"]["sizes.conf"]
    settings = dict(line.split() for line in text.splitlines() if line.startswith("spark."))
    number = int(settings["spark.dynamicAllocation.maxExecutors"])
    memory = sum(float(settings[f"spark.executor.{name}"][:-1]) for name in ("memory", "memoryOverhead"))
    return number * cpus(settings["spark.kubernetes.executor.request.cores"]), number * memory * GIB
