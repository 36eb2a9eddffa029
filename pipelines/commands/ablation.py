"""`dcclip ablation`: what each training technique changes."""

import argparse

from pipelines.commands.options import recipe_options, root_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "ablation",
        parents=[root_options(), recipe_options()],
        help="what each training technique changes, on a finished run",
    )
    command.add_argument("--seeds", type=int, default=3, help="trainings of each variant (default: 3)")
    command.add_argument(
        "--only",
        nargs="+",
        metavar="TEXT",
        help="variants whose names hold one of these texts, and the baseline (default: all)",
    )
    command.add_argument("--steps", type=float, default=1.0, help="share of the recipe's steps (default: 1)")
    command.set_defaults(do=ablate)


def ablate(options: argparse.Namespace) -> None:
    """Print what each training technique changes on a finished run."""
    from pipelines.ablate import run

    print(run(options))
