"""`dcclip students`: what the named students cost."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("students", help="print what the named students cost")
    command.add_argument(
        "captions",
        type=Path,
        nargs="+",
        help="files with one caption a line, both languages: what is counted",
    )
    command.add_argument(
        "--texts", type=Path, nargs="*", default=[], help="more for the tokenizer to learn from"
    )
    command.add_argument(
        "--width", type=int, default=768, help="the teacher's width (default: AltCLIP's, 768)"
    )
    command.set_defaults(do=show_students)


def show_students(options: argparse.Namespace) -> None:
    """Print what the named students cost."""
    from components.step import StepError
    from infra.text_lines import read_lines
    from pipelines.students import STUDENTS
    from training.student_cost import cost_table

    try:
        captions, texts = (
            [line for path in paths for line in read_lines(path)]
            for paths in (options.captions, options.texts)
        )
    except OSError as error:
        raise StepError(f"cannot read {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise StepError(str(error)) from None
    print(cost_table(STUDENTS, options.width, captions + texts, captions))
