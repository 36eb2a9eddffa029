"""Recurring runs: one of a name in an experiment, whatever was there before.

On the server a name is not unique, and a recurring run cannot be changed. So the wanted one is made before
the old ones go: whatever breaks in between leaves a schedule, and the same command again leaves one.
"""

from dataclasses import dataclass
from typing import Any

from infra.store import plain
from pipelines.server.connection import Client, told_clearly
from pipelines.server.uploads import Uploaded, every

MAX_CONCURRENCY = 1


@dataclass(frozen=True)
class Schedule:
    """A wanted recurring run: one run at a time, and none made up for that was missed."""

    name: str
    cron: str
    parameters: dict[str, Any]
    version: Uploaded
    description: str = ""
    pipeline_root: str = ""
    service_account: str = ""

    def differences(self, there: Any) -> list[str]:
        """What is otherwise in a recurring run on the server: words for a person."""
        config, version, trigger = there.runtime_config, there.pipeline_version_reference, there.trigger
        cron = trigger.cron_schedule if trigger else None
        pairs = {
            "cron": (cron.cron if cron else None, self.cron),
            "parameters": (plain((config and config.parameters) or {}), plain(self.parameters)),
            "pipeline root": ((config and config.pipeline_root) or "", self.pipeline_root),
            "version": (version.pipeline_version_id if version else None, self.version.version_id),
            "runs at once": (int(there.max_concurrency or 0), MAX_CONCURRENCY),
            "catch-up": (bool(there.no_catchup), True),
        }
        # The server fills in a service account where none was asked for.
        if self.service_account:
            pairs["service account"] = (there.service_account, self.service_account)
        return [what for what, (old, new) in pairs.items() if old != new]


@dataclass(frozen=True)
class Outcome:
    """What was done: `changed` is None where there was no schedule, empty where it was as wanted.

    `num_others` counts further ones of its name, which are deleted.
    """

    schedule_id: str
    changed: list[str] | None
    num_others: int
    paused: bool


def list_schedules(client: Client, experiment_id: str, name: str = "") -> list[Any]:
    """The recurring runs of an experiment, or those of one name in it, oldest first."""
    with told_clearly(client.host):
        found = every(client.list_recurring_runs, "recurring_runs", name, experiment_id=experiment_id)
        return sorted(found, key=lambda item: (str(item.created_at), item.recurring_run_id))


def put_schedule(client: Client, experiment_id: str, wanted: Schedule) -> Outcome:
    """Make the recurring run as wanted the only one of its name; a paused one stays paused.

    Raises:
        StepError: the server refuses, or cannot be reached.
    """
    there = list_schedules(client, experiment_id, wanted.name)
    same = next((item for item in there if not wanted.differences(item)), None)
    paused = bool(there) and all(item.status == "DISABLED" for item in there)
    kept = same.recurring_run_id if same else _make(client, experiment_id, wanted, paused)
    remove(client, [item for item in there if item is not same])
    changed = ([] if same else wanted.differences(there[-1])) if there else None
    return Outcome(kept, changed, max(0, len(there) - 1), paused)


def remove(client: Client, schedules: list[Any]) -> None:
    """Delete recurring runs; runs that they have started go on."""
    with told_clearly(client.host):
        for item in schedules:
            client.delete_recurring_run(item.recurring_run_id)


def _make(client: Client, experiment_id: str, wanted: Schedule, paused: bool) -> str:
    """A new recurring run's id."""
    with told_clearly(client.host):
        made = client.create_recurring_run(
            experiment_id,
            wanted.name,
            wanted.description,
            cron_expression=wanted.cron,
            max_concurrency=MAX_CONCURRENCY,
            no_catchup=True,
            params=wanted.parameters,
            pipeline_id=wanted.version.pipeline_id,
            version_id=wanted.version.version_id,
            enabled=not paused,
            pipeline_root=wanted.pipeline_root or None,
            service_account=wanted.service_account or None,
        )
    return made.recurring_run_id
