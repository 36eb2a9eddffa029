"""`dcclip estimate`: hours, storage and money of a run, before it is run."""

import argparse
import math
from pathlib import Path

from pipelines.commands.options import recipe_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "estimate",
        parents=[recipe_options()],
        help="what a run over so many pairs takes and costs",
        description="Compute hours, storage and money from rates a second; nothing is run.",
    )
    command.add_argument("--pairs", type=float, required=True, help="rows of the URL lists, such as 100e6")
    command.add_argument("--gpu", default="a100", help="a kind of GPU that the rates know (default: a100)")
    command.add_argument("--cores", type=int, default=64, help="side by side (default: 64)")
    command.add_argument("--gpus", type=int, default=8, help="side by side (default: 8)")
    command.add_argument("--rates", type=Path, help="a file like infra/rates.toml (default: that)")
    command.set_defaults(do=show_estimate, recipe="full")


def show_estimate(options: argparse.Namespace) -> None:
    """Print the arithmetic and its sum."""
    from components.step import StepError
    from infra.estimate import RATES, RatesError, arithmetic, estimate, read_rates
    from pipelines.resolve import choose_recipe
    from pipelines.samples import samples_seen

    if not all(1 <= number < math.inf for number in (options.pairs, options.cores, options.gpus)):
        raise StepError("pairs, cores and GPUs are finite numbers of at least 1")
    try:
        rates = read_rates(options.rates or RATES)
        training = samples_seen(choose_recipe(options.recipe, dict(options.set)))
        done = estimate(options.pairs, options.gpu, training, rates)
    except RatesError as error:
        raise StepError(str(error)) from None
    print(arithmetic(done, options.cores, options.gpus, rates["prices"]))
