"""The command line, `dcclip COMMAND`; each command is a module of pipelines/commands."""

import argparse
import sys

from pipelines.commands import (
    ablation,
    compile,
    estimate,
    recipe,
    registry,
    run,
    schedule,
    serve,
    students,
    submit,
    try_image,
)
from pipelines.commands.options import MixedParser

# In the order of the help.
COMMANDS = (run, recipe, students, compile, submit, schedule, try_image, serve, registry, ablation, estimate)


def make_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = argparse.ArgumentParser(prog="dcclip", description="A small bilingual CLIP from URL lists.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=MixedParser)
    for module in COMMANDS:
        module.add(commands)
    return parser


def main() -> None:
    """Run a command; a failure that a person can mend is one line."""
    from components.step import TOLD
    from infra.console import discard

    options = make_parser().parse_args()
    try:
        options.do(options)
    except TOLD as error:
        sys.exit(f"dcclip: {error}")
    except BrokenPipeError:
        # Whoever read the output has enough of it: `dcclip recipe | head`.
        discard(sys.stdout)
    except OSError as error:
        if error.filename is None:
            raise
        # A file that the command line named, or one below the root; the traceback would add nothing to it.
        sys.exit(f"dcclip: {error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit("dcclip: interrupted; what was finished stays finished, run again to go on")
