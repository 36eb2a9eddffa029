"""`dcclip run`: a pipeline from this machine, by its own engines or by clusters."""

import argparse

from pipelines.commands.options import recipe_options, root_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parents = [root_options(), recipe_options()]
    command = commands.add_parser("run", parents=parents, help="run a pipeline on this machine")
    names = ("dcclip-full", "dcclip-data", "dcclip-train")
    command.add_argument(
        "--pipeline", choices=names, default=names[0], help="all of it, or one half (default: dcclip-full)"
    )
    text = "each step in a container of the image DCCLIP_IMAGE (infra/images)"
    command.add_argument("--containers", action="store_true", help=text)
    command.add_argument(
        "--spark-master",
        default="local[*]",
        metavar="URL",
        help="a Spark cluster, spark://HOST:PORT (default: this machine)",
    )
    command.add_argument(
        "--ray-address", default="", metavar="HOST:PORT", help="a Ray cluster (default: this machine)"
    )
    command.add_argument(
        "--mlflow-uri", default="", metavar="URI", help="the registry (default: ROOT/mlflow.db)"
    )
    command.set_defaults(do=run)


def run(options: argparse.Namespace) -> None:
    """Run a pipeline on this machine."""
    from pipelines.local import run_locally
    from pipelines.summary import print_summary

    names = ("spark_master", "ray_address", "mlflow_uri")
    given = {name: address for name in names if (address := getattr(options, name))}
    finished = run_locally(
        options.recipe,
        dict(options.set),
        options.root,
        options.s3_endpoint,
        options.pipeline,
        in_containers=options.containers,
        **given,
    )
    print_summary(finished, options.root, options.s3_endpoint)
