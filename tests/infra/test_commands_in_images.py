"""Every command that a pod of ours is told to run is in its image: the manifests', and what KubeRay adds.

What KubeRay 1.5.0 adds (ray-operator/controllers/ray/common/pod.go): a liveness and a readiness probe where
there is none (388, 404: bash and wget), for workers an init container that waits for the head (256: bash,
`ray health-check`, sleep), the container's own command (495: bash, `ray start`) and the autoscaler's (562).
"""

import re
from importlib.metadata import distributions

import pytest
import yaml

from infra.images.build import DOCKERFILE, IMAGES
from infra.licences import normal
from tests.infra.manifests import FOLDER, OVERLAYS, named, pod_templates, render

# Of python:3.11-slim-bookworm that is, as Debian's essential packages and the image of Python have it. What a
# person might expect and miss: wget, curl, git, ps, nc, ping, vi.
DEBIAN = {
    "sh",
    "bash",
    "sleep",
    "grep",
    "sed",
    "cat",
    "ls",
    "find",
    "mkdir",
    "rm",
    "chmod",
    "date",
    "env",
    "true",
}
PYTHON = {"python", "python3", "python3.11"}
BUILTINS = {"ulimit", "exec", "set", "echo", "while", "do", "if", "then", "else", "fi", "done", "break"}
WGET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"


def programs_of(lock: str) -> set[str]:
    """The programs that the packages of a lock install."""
    locked = {normal(line.partition("==")[0]) for line in lock.splitlines() if "==" in line}
    return {
        point.name
        for each in distributions()
        if normal(each.metadata["Name"]) in locked
        for point in each.entry_points
        if point.group == "console_scripts"
    }


@pytest.fixture(scope="module")
def there() -> set[str]:
    assert re.search(r"^ARG BASE=\S*python:3\.11[\d.]*-slim-bookworm@", DOCKERFILE.read_text(), re.M)
    return DEBIAN | PYTHON | programs_of(IMAGES["cpu"].lock.read_text())


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request) -> list[dict]:
    return render(request.param)


def with_kuberays(template: dict, worker: bool) -> dict:
    """A template's Ray container and init containers as KubeRay makes them."""
    container = dict(template["spec"]["containers"][0])
    for name in ("livenessProbe", "readinessProbe"):
        container.setdefault(name, {"exec": {"command": ["bash", "-c", WGET]}})
    container |= {"command": ["/bin/bash", "-c", "--"], "args": ["ulimit -n 65536; ray start --block"]}
    wait = "while true; do if ray health-check --address head:6379; then break; fi; sleep 5; done"
    init = [{"command": ["/bin/bash", "-c", "--"], "args": [wait]}] if worker else []
    return {"spec": {"containers": [container], "initContainers": init}}


def commands_of(pod: dict) -> set[str]:
    """The programs that a pod's containers and probes begin."""
    found: set[str] = set()
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        probes = [container.get(f"{kind}Probe", {}) for kind in ("startup", "readiness", "liveness")]
        lines = [[*container.get("command", []), *container.get("args", [])]]
        lines += [each["exec"]["command"] for each in probes if "exec" in each]
        found |= {name for line in lines if line for name in names_in(line)}
    return found


def names_in(line: list[str]) -> set[str]:
    """The programs of a command line; of one that a shell reads, all of its words' first."""
    first = line[0].rpartition("/")[2]
    if first not in ("sh", "bash"):
        return {first}
    script = next((word for word in line[1:] if not word.startswith("-")), "")
    parts = re.split(r"&&|\|\||[;|\n]|\b(?:if|then|do|else|while)\b", script)
    return {first} | ({part.split()[0] for part in parts if part.split()} - BUILTINS)


def ours(pods: dict) -> dict:
    """Pods on our images, Ray's as KubeRay completes them."""
    pods = {name: pod for name, pod in pods.items() if name not in ("postgres", "object-store")}
    return {
        name: with_kuberays(pod, worker=name != "ray head") if name.startswith("ray ") else pod
        for name, pod in pods.items()
    }


def test_every_command_is_in_the_image(objects, there):
    for name, pod in ours(pod_templates(objects)).items():
        assert commands_of(pod) <= there, name


def test_kuberay_adds_no_probe_of_its_own(objects):
    for name, pod in ours(pod_templates(objects)).items():
        assert "wget" not in commands_of(pod), name


def test_a_pod_without_probes_would_be_found_out(there):
    """As ours was: killed by the 120th failure of a probe that calls wget."""
    bare = with_kuberays({"spec": {"containers": [{}]}}, worker=True)
    assert commands_of(bare) - there == {"wget"}


def test_rays_pods_are_probed_on_the_ports_that_they_are_given(objects):
    (cluster,) = named(objects, "RayCluster").values()
    head = cluster["spec"]["headGroupSpec"]
    groups = {"head": (head, ["6379", "6380"])}
    groups |= {each["groupName"]: (each, ["6380"]) for each in cluster["spec"]["workerGroupSpecs"]}
    for name, (group, ports) in groups.items():
        assert group["rayStartParams"]["node-manager-port"] == "6380", name
        (container,) = group["template"]["spec"]["containers"]
        for kind in ("startup", "readiness", "liveness"):
            probe = container[f"{kind}Probe"]
            assert probe["exec"]["command"] == ["python", "-m", "infra.ray_health", *ports], name
            assert probe["timeoutSeconds"] > 5
        # A worker that is busy is not killed for a slow answer or two.
        assert (
            container["livenessProbe"]["failureThreshold"] * container["livenessProbe"]["periodSeconds"]
            >= 120
        )


def test_the_programs_of_the_lock_are_found(there):
    assert {"ray", "mlflow"} <= there
    assert not {"wget", "curl", "git", "nc"} & there


def test_our_own_kubeflow_patches_are_yaml():
    for file in (FOLDER / "kubeflow").rglob("*.yaml"):
        assert list(yaml.safe_load_all(file.read_text()))
