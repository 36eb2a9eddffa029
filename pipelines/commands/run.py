"""`dcclip run`: the whole pipeline from this machine, by its own engines or by clusters."""

import argparse

from pipelines.commands.options import recipe_options, root_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parents = [root_options(), recipe_options()]
    command = commands.add_parser("run", parents=parents, help="run dcclip-full on this machine")
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
    """Run dcclip-full on this machine."""
    from pipelines.local import run_locally
    from pipelines.summary import print_summary

    engines = {name: getattr(options, name) for name in ("spark_master", "ray_address", "mlflow_uri")}
    given = {name: address for name, address in engines.items() if address}
    finished = run_locally(options.recipe, dict(options.set), options.root, options.s3_endpoint, **given)
    print_summary(finished, options.root, options.s3_endpoint)
