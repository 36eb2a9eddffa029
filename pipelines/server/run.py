"""A run as the server tells it: its state, and the states of its tasks.

Kubeflow Pipelines 2.17 lists tasks in `run_details.task_details`, one for each of Argo's nodes: a step's own,
by its name in the DAG, and drivers and executors around it, which are left out. Later releases have no such
field; their `tasks` are the steps themselves, and are told when the whole run is asked for.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.server.connection import PATIENCE, Client, told_clearly

FINAL = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
DONE = ("SUCCEEDED", "SKIPPED", "CACHED")
UNKNOWN = ("", "RUNTIME_STATE_UNSPECIFIED")


@dataclass(frozen=True)
class TaskState:
    """A task by its name in the DAG, its state, when it began (empty: not yet), and the server's words."""

    name: str
    state: str
    begun: str
    message: str


@dataclass(frozen=True)
class Run:
    """A run of a pipeline; times as the server writes them, empty where there are none.

    `pipeline_root` is where Kubeflow keeps its artifacts, empty where the installation decides.
    """

    pipeline: str
    run_id: str
    state: str
    message: str
    tasks: tuple[TaskState, ...]
    created_at: str
    finished_at: str
    pipeline_root: str
    parameters: dict[str, Any]

    def states(self, tasks: dict[str, str]) -> dict[str, str]:
        """The state of each step that has one, in the order of their start; the latest of several tries."""
        ordered = sorted(self.tasks, key=lambda item: item.begun or "9")
        return {item.name: item.state for item in ordered if item.name in tasks and item.state not in UNKNOWN}

    @property
    def minutes(self) -> int | None:
        """How long a finished run took."""
        if not self.finished_at or not self.created_at:
            return None
        begun, ended = map(datetime.fromisoformat, (self.created_at, self.finished_at))
        return round((ended - begun).total_seconds() / 60)


def read_run(client: Client, pipeline: str, run_id: str) -> Run:
    """The run as the server has it, with a limit on the time it takes.

    Raises:
        ServerError: with what to do.
    """
    raw = _get_run(client, run_id)
    if raw.get("task_count") and not raw.get("tasks"):
        raw = get(client, f"/apis/v2beta1/runs/{run_id}", view="FULL")
    return parse_run(pipeline, raw)


def _get_run(client: Client, run_id: str) -> dict:
    """The stock client's answer as JSON: its models drop what they do not know."""
    with told_clearly(client.host):
        client.runs.run_service_get_run(run_id=run_id, _request_timeout=PATIENCE)
        return json.loads(client.runs.api_client.last_response.data)


def get(client: Client, path: str, **query: str) -> dict:
    """What the server has at a path that the stock client has no name for."""
    return json.loads(get_text(client, path, **query))


def get_text(client: Client, path: str, **query: str) -> str:
    """The same as text.

    Raises:
        ServerError: with what to do.
    """
    api = client.runs.api_client
    with told_clearly(client.host):
        api.call_api(
            path,
            "GET",
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["Bearer"],
            _request_timeout=PATIENCE,
        )
        return api.last_response.data


def parse_run(pipeline: str, raw: dict) -> Run:
    """A run from the server's JSON, of 2.17 or later."""
    details = (raw.get("run_details") or {}).get("task_details") or []
    tasks = [*map(_of_a_node, details), *map(_of_a_task, raw.get("tasks") or [])]
    config = raw.get("runtime_config") or {}
    return Run(
        pipeline,
        raw.get("run_id", ""),
        raw.get("state", ""),
        _message(raw.get("error")),
        tuple(tasks),
        raw.get("created_at", ""),
        raw.get("finished_at", ""),
        config.get("pipeline_root", ""),
        config.get("parameters") or {},
    )


def _of_a_node(detail: dict) -> TaskState:
    """A task of 2.17."""
    begun = detail.get("start_time") or detail.get("create_time") or ""
    return TaskState(
        detail.get("display_name", ""), detail.get("state", ""), begun, _message(detail.get("error"))
    )


def _of_a_task(task: dict) -> TaskState:
    """A task of a later release."""
    message = (task.get("status_metadata") or {}).get("message", "")
    return TaskState(task.get("name", ""), task.get("state", ""), task.get("create_time", ""), message)


def _message(error: dict | None) -> str:
    return (error or {}).get("message", "")
