"""The attempts at a run's steps, and what their pods wait for, from the run's workflow.

The API of today has neither. Its older half (`/apis/v1beta1`), which every server up to now has beside it,
tells Argo's workflow as it stands: a node for each pod, with its phase and the reason that Argo took from the
pod, such as the scheduler's words for one that no node has room for.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.server.connection import Client, ServerError
from pipelines.server.run import get

# `….filter-pairs.executor(1)`: the task, then the attempt where the task is tried again.
EXECUTOR = re.compile(r"\.([\w-]+)\.executor(?:\((\d+)\))?$")
DRIVER = re.compile(r"\.([\w-]+)-driver$")


@dataclass(frozen=True)
class Attempt:
    """One pod of a step: the task's name in the DAG, the attempt from 0, Argo's phase and words of it."""

    task: str
    number: int
    phase: str
    message: str
    pod: str
    begun: str
    # Where its log stays when the pod is gone, empty where that is not known.
    log: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has come to nothing."""
        return self.phase in ("Failed", "Error")

    @property
    def words(self) -> str:
        """Argo's reason, to stand before the step's own."""
        return f"{self.message}: " if self.message else ""

    def waits(self, seconds: float) -> bool:
        """Whether it has been there for so long."""
        begun = datetime.fromisoformat(self.begun) if self.begun else datetime.now(UTC)
        return (datetime.now(UTC) - begun).total_seconds() >= seconds


def read_attempts(client: Client, run_id: str) -> list[Attempt]:
    """The attempts so far, in order; none where the server does not say what it is, or tells no workflow.

    Raises:
        ServerError: the server may answer later.
    """
    if not client.version:
        return []
    try:
        told = get(client, f"/apis/v1beta1/runs/{run_id}")
    except ServerError as error:
        if error.passing:
            raise
        return []
    manifest = (told.get("pipeline_runtime") or {}).get("workflow_manifest")
    return attempts_of(json.loads(manifest)) if manifest else []


def attempts_of(workflow: dict) -> list[Attempt]:
    """The attempts in a workflow, in the order of their start."""
    nodes = ((workflow.get("status") or {}).get("nodes") or {}).values()
    logs = {task: uri for node in nodes for task, uri in _log_of(node)}
    found = [
        Attempt(
            task=match[1],
            number=int(match[2] or 0),
            phase=node.get("phase", ""),
            message=node.get("message", ""),
            pod=_pod(workflow, node),
            begun=node.get("startedAt") or "",
            log=f"{logs[match[1]]}-{match[2] or 0}" if match[1] in logs else "",
        )
        for node in nodes
        if node.get("type") == "Pod" and (match := EXECUTOR.search(node.get("name", "")))
    ]
    return sorted(found, key=lambda attempt: (attempt.begun, attempt.task, attempt.number))


def _pod(workflow: dict, node: dict) -> str:
    """A node's pod (backend/src/common/util/workflow.go:391 at tag 2.17.0)."""
    name = workflow["metadata"]["name"]
    annotations = workflow["metadata"].get("annotations") or {}
    if annotations.get("workflows.argoproj.io/pod-name-format") == "v1":
        return node["id"]
    return f"{name}-{node.get('templateName', '')}-{node['id'].rpartition('-')[2]}"


def _log_of(node: dict) -> list[tuple[str, str]]:
    """(task, address of its log without the attempt) from what its driver has decided for the pod."""
    match = DRIVER.search(node.get("name", ""))
    outputs = ((node.get("outputs") or {}).get("parameters") or []) if match else []
    patches = [json.loads(item["value"]) for item in outputs if item["name"] == "pod-spec-patch"]
    found = []
    for patch in patches:
        command = patch["containers"][0]["command"]
        given = json.loads(command[command.index("--executor_input") + 1])
        for artifact in given.get("outputs", {}).get("artifacts", {}).get("executor-logs", {}).values():
            found.append((match[1], artifact[0]["uri"]))
    return found
