"""`dcclip schedule`: a run that comes again by itself."""

import argparse

from pipelines.commands.server_options import add_parameters, run_options, server_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "schedule",
        parents=[run_options(), server_options()],
        help="run a pipeline again and again on a Kubeflow Pipelines server",
        description="Put a recurring run on the server: one run at a time, none to make up for missed ones. "
        "The same command again changes nothing; another cron, parameter or version replaces it.",
    )
    command.add_argument("pipeline", nargs="?", help="which pipeline, for example dcclip-full")
    add_parameters(command)
    command.add_argument(
        "--cron",
        default="",
        help="when: '0 2 * * SUN', '0 0 2 * * SUN' with the second first, or @weekly; in UTC",
    )
    command.add_argument("--name", default="", help="of the schedule (default: the pipeline's)")
    command.add_argument("--list", action="store_true", help="list the experiment's schedules")
    command.add_argument("--delete", default="", metavar="NAME", help="delete a schedule")
    command.set_defaults(do=schedule)


def schedule(options: argparse.Namespace) -> None:
    """Put, list or delete recurring runs."""
    from pipelines.schedule import schedule

    schedule(options)
