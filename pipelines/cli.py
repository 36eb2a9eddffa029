"""The command line, `dcclip COMMAND`: run, compile, recipe, students, try, promote, rollback, ablation."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path


def run(options: argparse.Namespace) -> None:
    """Run dcclip-full on this machine."""
    from pipelines.local import run_locally
    from pipelines.summary import print_summary

    finished = run_locally(options.recipe, dict(options.set), options.root, options.s3_endpoint)
    print_summary(finished, options.root, options.s3_endpoint)


def compile_pipeline(options: argparse.Namespace) -> None:
    """Compile dcclip-full for a cluster."""
    from kfp import compiler

    from pipelines.full import dcclip_full

    options.output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(dcclip_full, str(options.output))
    print(f"wrote {options.output}")


def show_recipe(options: argparse.Namespace) -> None:
    """Print a recipe's values."""
    from pipelines.resolve import choose_recipe

    recipe = choose_recipe(options.recipe, dict(options.set))
    print(json.dumps(dataclasses.asdict(recipe), ensure_ascii=False, indent=2))


def show_students(options: argparse.Namespace) -> None:
    """Print what the named students cost."""
    from components.step import StepError
    from pipelines.students import STUDENTS
    from training.student_cost import cost_table

    try:
        captions, texts = (
            [line for path in paths for line in path.read_text().splitlines()]
            for paths in (options.captions, options.texts)
        )
    except OSError as error:
        raise StepError(f"cannot read {error.filename}: {error.strerror}") from None
    print(cost_table(STUDENTS, options.width, captions + texts, captions))


def try_image(options: argparse.Namespace) -> None:
    """Let the champion name an image."""
    from infra.object_store import endpoint_known
    from pipelines.resolve import local_folder
    from pipelines.try_model import classify_with_champion

    with endpoint_known(options.s3_endpoint):
        scores = classify_with_champion(local_folder(options.root), options.image, options.labels)
    for label, score in scores:
        print(f"{100 * score:5.1f}%  {label}")


def promote(options: argparse.Namespace) -> None:
    """Make a version champion."""
    from pipelines.promote import promote

    promote(options)


def rollback(options: argparse.Namespace) -> None:
    """Make the champion before this one champion again."""
    from pipelines.promote import rollback

    rollback(options)


def ablate(options: argparse.Namespace) -> None:
    """Print what each training technique changes on a finished run."""
    from pipelines.ablate import run

    print(run(options))


def storage_root(text: str) -> str:
    """A folder's absolute path, or an address in object storage."""
    return text.rstrip("/") if text.startswith("s3://") else str(Path(text).resolve())


def override(text: str) -> tuple[str, str]:
    """`a.b=value` as a pair."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def make_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = argparse.ArgumentParser(prog="dcclip", description="A small bilingual CLIP from URL lists.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    root = argparse.ArgumentParser(add_help=False)
    root.add_argument(
        "--root",
        type=storage_root,
        default=storage_root("out"),
        help="where results are kept, a folder or s3://BUCKET/PREFIX (default: out)",
    )
    root.add_argument(
        "--s3-endpoint", default="", metavar="URL", help="the S3 server, for a root there (default: AWS)"
    )
    recipe = argparse.ArgumentParser(add_help=False)
    recipe.add_argument("--recipe", default="demo", help="demo, smoke, full or full_ensemble (default: demo)")
    recipe.add_argument(
        "--set", type=override, action="append", default=[], metavar="NAME=VALUE", help="override one value"
    )
    command = commands.add_parser("run", parents=[root, recipe], help="run dcclip-full on this machine")
    command.set_defaults(do=run)
    command = commands.add_parser("recipe", parents=[recipe], help="print a recipe's values")
    command.set_defaults(do=show_recipe)
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
    command = commands.add_parser("compile", help="compile dcclip-full for a cluster")
    command.add_argument("--output", type=Path, default=Path("dist/dcclip-full.yaml"))
    command.set_defaults(do=compile_pipeline)
    command = commands.add_parser("try", parents=[root], help="name an image with the registered champion")
    command.add_argument("image", type=Path)
    command.add_argument("labels", nargs="+", help="class names, Chinese or English")
    command.set_defaults(do=try_image)
    registry = argparse.ArgumentParser(add_help=False)
    registry.add_argument(
        "--mlflow-uri", default="", metavar="URI", help="the registry (default: ROOT/mlflow.db)"
    )
    registry.add_argument("--model", default="dcclip", help="the registered model's name (default: dcclip)")
    registry.add_argument("--reason", default="no reason given", help="why, written into the version's tags")
    command = commands.add_parser(
        "promote",
        parents=[root, registry],
        help="make a registered version champion",
        description="Compare a version with the champion and make it champion, whatever the gate said.",
        epilog="Nothing is asked: the figures are shown, and who did it, when and why is written into the "
        "version's tags. `dcclip rollback` undoes it.",
    )
    command.add_argument("--version", type=int, metavar="N", help="which version (default: the challenger)")
    command.add_argument("--dry-run", action="store_true", help="show the comparison, change nothing")
    command.set_defaults(do=promote)
    command = commands.add_parser(
        "rollback",
        parents=[root, registry],
        help="make the champion before this one champion again",
        description="Make the version that the champion replaced champion again; again, a step further.",
    )
    command.set_defaults(do=rollback)
    command = commands.add_parser(
        "ablation", parents=[root, recipe], help="what each training technique changes, on a finished run"
    )
    command.add_argument("--seeds", type=int, default=3, help="trainings of each variant (default: 3)")
    command.add_argument("--only", default="", help="names of variants that hold this text, and the baseline")
    command.add_argument("--steps", type=float, default=1.0, help="share of the recipe's steps (default: 1)")
    command.set_defaults(do=ablate)
    return parser


def main() -> None:
    """Run a command; a failure that a person can mend is one line."""
    from components.step import TOLD

    options = make_parser().parse_args()
    try:
        options.do(options)
    except TOLD as error:
        sys.exit(f"dcclip: {error}")
    except KeyboardInterrupt:
        sys.exit("dcclip: interrupted; what was finished stays finished, run again to go on")
