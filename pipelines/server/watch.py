"""A run, followed: one line whenever a step's state changes, until the run ends.

The server tells of Argo's nodes: a step's own, by its name in the DAG, and drivers and executors around it,
which are left out.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from components.step import StepError
from pipelines.server.connection import PATIENCE, Client, ServerError, told_clearly

FINAL = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
DONE = ("SUCCEEDED", "SKIPPED")
# A server may be restarted while a run takes days: 10 minutes, with a question each 5 seconds.
MAX_FAILURES = 120


@dataclass
class Progress:
    """What has been told of a run so far. `tasks`: the name for people by the name in the DAG."""

    tasks: dict[str, str]
    tell: Callable[[str], None]
    states: dict[str, str] = field(default_factory=dict)
    run_state: str = ""

    def update(self, run: Any) -> None:
        """Tell what has changed."""
        if run.state and run.state != self.run_state and run.state not in FINAL:
            self.tell(f"run {run.state.lower()}")
        self.run_state = run.state or self.run_state
        for name, state in task_states(run, self.tasks).items():
            if state != self.states.get(name):
                self.states[name] = state
                num_done = sum(item in DONE for item in self.states.values())
                self.tell(f"{num_done:>2}/{len(self.tasks)} {self.tasks[name]:<22} {state.lower()}")


def task_states(run: Any, tasks: dict[str, str]) -> dict[str, str]:
    """The state of each step that has one, in the order of their start; the latest of several tries."""
    details = getattr(run.run_details, "task_details", None) or []
    states = {}
    for detail in sorted(details, key=_start):
        if detail.display_name in tasks and detail.state and detail.state != "RUNTIME_STATE_UNSPECIFIED":
            states[detail.display_name] = detail.state
    return states


def _start(detail: Any) -> float:
    """When a task began; what has not begun comes last."""
    begun = detail.start_time or detail.create_time
    return begun.timestamp() if isinstance(begun, datetime) else float("inf")


def follow(client: Client, run_id: str, progress: Progress, seconds: float) -> Any:
    """Ask every so many seconds until the run has ended, and return it.

    Raises:
        StepError: the server could not be asked for long, or does not let us; the run itself goes on.
    """
    num_failures = 0
    while True:
        try:
            run = _ask(client, run_id)
            num_failures = 0
            progress.update(run)
            if run.state in FINAL:
                return run
        except ServerError as error:
            num_failures += 1
            if not error.passing or num_failures == MAX_FAILURES:
                raise StepError(
                    f"{error}. The run itself goes on; look with `kfp run get {run_id}`"
                ) from None
        time.sleep(seconds)


def _ask(client: Client, run_id: str) -> Any:
    """The run as the server has it, with a limit on the time it takes."""
    with told_clearly(client.host):
        return client.runs.run_service_get_run(run_id=run_id, _request_timeout=PATIENCE)


def failure(run: Any, tasks: dict[str, str]) -> str:
    """Why a run ended as it did: the step that failed, and what the server says of it."""
    details = getattr(run.run_details, "task_details", None) or []
    failed = [item for item in details if item.state == "FAILED" and item.display_name in tasks]
    reasons = [item.error.message for item in [*failed, run] if item.error and item.error.message]
    where = f" at {', '.join(tasks[item.display_name] for item in failed)}" if failed else ""
    return f"the run {(run.state or 'ended').lower()}{where}{': ' if reasons else ''}{'; '.join(reasons)}"
