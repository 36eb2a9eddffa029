"""`dcclip promote` and `dcclip rollback`: a person decides who is champion."""

import argparse

from pipelines.commands.options import registry_options, root_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare both commands."""
    parents = [root_options(), registry_options()]
    _add_promote(commands, parents)
    command = commands.add_parser(
        "rollback",
        parents=parents,
        help="make the champion before this one champion again",
        description="Make the version that the champion replaced champion again; again, a step further.",
    )
    _add_reason(command)
    command.set_defaults(do=rollback)


def _add_promote(commands: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "promote",
        parents=parents,
        help="make a registered version champion",
        description="Compare a version with the champion and make it champion, whatever the gate said.",
        epilog="Nothing is asked: the figures are shown, and who did it, when and why is written into the "
        "version's tags. `dcclip rollback` undoes it.",
    )
    command.add_argument("--version", type=int, metavar="N", help="which version (default: the challenger)")
    command.add_argument("--dry-run", action="store_true", help="show the comparison, change nothing")
    _add_reason(command)
    command.set_defaults(do=promote)


def _add_reason(command: argparse.ArgumentParser) -> None:
    command.add_argument("--reason", default="no reason given", help="why, written into the version's tags")


def promote(options: argparse.Namespace) -> None:
    """Make a version champion."""
    from pipelines.promote import promote

    promote(options)


def rollback(options: argparse.Namespace) -> None:
    """Make the champion before this one champion again."""
    from pipelines.promote import rollback

    rollback(options)
