"""`dcclip submit`: a run on a Kubeflow Pipelines server."""

import argparse

from pipelines.commands.server_options import add_parameters, run_options, server_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "submit",
        parents=[run_options(), server_options()],
        help="run a pipeline on a Kubeflow Pipelines server",
        description="Check the parameters, upload the pipeline as a version, and start a run.",
    )
    command.add_argument("pipeline", help="which pipeline, for example dcclip-full")
    add_parameters(command)
    command.add_argument("--run-name", default="", help="default: the pipeline and the time")
    command.add_argument("--watch", action="store_true", help="follow the run until it ends")
    command.add_argument(
        "--every", type=float, default=5.0, metavar="SECONDS", help="how often to look (default: 5)"
    )
    command.add_argument(
        "--attempts",
        type=int,
        default=1,
        metavar="N",
        help="with --watch: submit again when the run fails, N runs in all (default: 1)",
    )
    command.set_defaults(do=submit)


def submit(options: argparse.Namespace) -> None:
    """Run a pipeline on a Kubeflow Pipelines server."""
    from pipelines.submit import submit

    submit(options)
