"""Options of the commands that ask a Kubeflow Pipelines server; the environment is the `kfp` command's."""

import argparse
import os

from pipelines.commands.options import override


def server_options() -> argparse.ArgumentParser:
    """Which server, who asks, and which experiment."""
    parser = argparse.ArgumentParser(add_help=False)
    server = parser.add_argument_group("server")
    given = os.environ.get
    endpoint = given("KFP_ENDPOINT") or given("KF_PIPELINES_ENDPOINT", "")
    server.add_argument("--endpoint", default=endpoint, metavar="URL", help="default: KFP_ENDPOINT")
    server.add_argument(
        "-n", "--namespace", default=given("KFP_NAMESPACE", ""), help="for a server of several users"
    )
    server.add_argument(
        "--existing-token",
        default=given("KFP_EXISTING_TOKEN", ""),
        metavar="TOKEN",
        help="default: KFP_EXISTING_TOKEN, where other users of this machine do not see it",
    )
    server.add_argument(
        "--ssl-ca-cert", default="", metavar="FILE", help="the authority of the server's certificate"
    )
    server.add_argument("-e", "--experiment", default="dcclip", help="default: dcclip")
    return parser


def run_options() -> argparse.ArgumentParser:
    """What to run, with which parameters."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--set",
        type=override,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a recipe's value",
    )
    parser.add_argument("--pipeline-root", default="", metavar="URI", help="where KFP keeps its own records")
    parser.add_argument("--service-account", default="", metavar="NAME", help="of the run's pods")
    return parser


def add_parameters(command: argparse.ArgumentParser) -> None:
    """The pipeline's own parameters, as `kfp run create` takes them."""
    command.add_argument(
        "parameters",
        type=override,
        nargs="*",
        metavar="NAME=VALUE",
        help="the pipeline's parameters: recipe=full storage_root=/mnt/dcclip",
    )
