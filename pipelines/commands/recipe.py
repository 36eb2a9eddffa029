"""`dcclip recipe`: a recipe's values."""

import argparse
import dataclasses

from pipelines.commands.options import recipe_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("recipe", parents=[recipe_options()], help="print a recipe's values")
    command.set_defaults(do=show_recipe)


def show_recipe(options: argparse.Namespace) -> None:
    """Print a recipe's values."""
    from infra.store import json_bytes
    from pipelines.resolve import choose_recipe

    recipe = choose_recipe(options.recipe, dict(options.set))
    print(json_bytes(dataclasses.asdict(recipe), indent=2).decode())
