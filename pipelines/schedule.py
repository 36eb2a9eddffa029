"""`dcclip schedule`: a recurring run of a pipeline; one at a time, nothing is made up for."""

import argparse
from datetime import UTC, datetime
from typing import Any

from components.step import StepError
from pipelines.server.connection import Client, connect, told_clearly
from pipelines.server.cron import explain, read_cron
from pipelines.server.schedules import Schedule, list_schedules, put_schedule, remove
from pipelines.submit import experiment_of, prepare, send, server_of


def schedule(options: argparse.Namespace) -> None:
    """List schedules, delete one, or put one there.

    Raises:
        StepError: the options, the parameters or the server are at fault.
    """
    if options.list:
        _show(options)
    elif options.delete:
        _delete(options)
    elif options.pipeline and options.cron:
        _put(options)
    else:
        raise StepError("give PIPELINE and --cron, for example `dcclip schedule dcclip-full --cron @weekly`")


def _put(options: argparse.Namespace) -> None:
    """Make the schedule as wanted, or find it so."""
    cron = read_cron(options.cron)
    package, values = prepare(options)
    client = connect(server_of(options))
    version = send(client, package)
    wanted = Schedule(
        options.name or package.name,
        cron.text,
        values,
        version,
        f"{package.name}, {package.description}",
        options.pipeline_root,
        options.service_account,
    )
    outcome = put_schedule(client, experiment_of(client, options.experiment), wanted)
    print(f"schedule    {wanted.name}: {_what_was_done(outcome.changed)}")
    if outcome.num_others:
        print(f"deleted     {outcome.num_others} more of that name")
    print(f"cron        {cron.text} (second, minute, hour, day of month, month, day of week)")
    print(f"next        {explain(cron, datetime.now(UTC))}, unless the server has another time zone")
    if outcome.paused:
        print(f"paused      it does not run: `kfp recurring-run enable {outcome.schedule_id}`")
    print(f"see         {client.page(f'recurringrun/details/{outcome.schedule_id}')}")


def _what_was_done(changed: list[str] | None) -> str:
    """In words; see `Outcome.changed`."""
    if changed is None:
        return "made"
    return (
        f"replaced, for other {' and '.join(changed)}" if changed else "nothing to do, it is there as wanted"
    )


def _show(options: argparse.Namespace) -> None:
    """A line for each schedule of the experiment."""
    client = connect(server_of(options))
    found = _existing(client, options.experiment, "")
    if not found:
        print(f"no schedule in the experiment {options.experiment}")
        return
    print(f"{'name':<24}{'cron':<22}{'state':<10}{'recipe':<16}{'next (UTC)'}")
    for item in found:
        print(_line(item))


def _line(item: Any) -> str:
    """One schedule as a line of the table."""
    cron = item.trigger.cron_schedule.cron if item.trigger and item.trigger.cron_schedule else ""
    parameters = (item.runtime_config and item.runtime_config.parameters) or {}
    state = (item.status or "").lower()
    return (
        f"{item.display_name:<24}{cron:<22}{state:<10}{parameters.get('recipe', ''):<16}{_next(cron, state)}"
    )


def _next(cron: str, state: str) -> str:
    """When it runs next, where that is known."""
    if not cron or state == "disabled":
        return "-"
    try:
        return explain(read_cron(cron), datetime.now(UTC)).split(",")[0]
    except StepError:
        # Someone else's, written elsewhere.
        return "?"


def _delete(options: argparse.Namespace) -> None:
    """Remove the schedule of that name."""
    client = connect(server_of(options))
    found = _existing(client, options.experiment, options.delete)
    if not found:
        names = [item.display_name for item in _existing(client, options.experiment, "")]
        raise StepError(
            f"there is no schedule {options.delete!r} in the experiment {options.experiment}; "
            f"there is {', '.join(names) or 'none'}"
        )
    remove(client, found)
    print(f"deleted     {options.delete}; runs that it has started go on")


def _existing(client: Client, experiment: str, name: str) -> list[Any]:
    """The schedules of an experiment, none when there is no such experiment."""
    with told_clearly(client.host):
        try:
            experiment_id = client.get_experiment(experiment_name=experiment).experiment_id
        except ValueError as error:
            if not str(error).startswith("No experiment"):
                raise
            return []
    return list_schedules(client, experiment_id, name)
