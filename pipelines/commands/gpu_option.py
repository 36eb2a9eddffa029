"""`--gpu TYPE` of the commands that compile a pipeline: a kind of GPU for the steps' own pods.

Kubeflow decides on nodes before a recipe is read, so the word is compiled in. The commands that know the
run's recipe take it from there.
"""

import argparse
import json
import os

VARIABLE = "DCCLIP_GPU"


def gpu_option() -> argparse.ArgumentParser:
    """The option."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--gpu",
        default="",
        metavar="TYPE",
        help="embed, train and examine in the steps' own pods, on nodes with the label dcclip/gpu=TYPE, such "
        f"as a100 (default: the recipe's `gpu`, {VARIABLE}, or no GPU in a step: a Ray cluster has them)",
    )
    return parser


def use_gpu(options: argparse.Namespace) -> None:
    """Have pipelines compiled for the kind of GPU that the options or the run's recipe name."""
    # pipelines/resources.py reads it when the pipeline is imported, and with that made.
    os.environ[VARIABLE] = options.gpu or _recipes_gpu(options) or os.environ.get(VARIABLE, "")


def _recipes_gpu(options: argparse.Namespace) -> str:
    """The kind that the run's recipe names, empty where it names none or the command knows no run."""
    from components.step import StepError
    from pipelines.resolve import choose_recipe

    given = dict(getattr(options, "parameters", ()))
    text = given.get("overrides", "{}")
    try:
        overrides = {**json.loads(text), **dict(getattr(options, "set", ()))}
    except (json.JSONDecodeError, TypeError) as error:
        raise StepError(f"overrides={text!r} should be a JSON object: {error}") from None
    return choose_recipe(given.get("recipe", "demo"), overrides).gpu
