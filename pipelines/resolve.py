"""From a recipe's name and overrides to one config dict a step, each with what identifies its result."""

import dataclasses
import glob
import json
from pathlib import Path
from typing import Any

from components.prepare_teacher import require_pinned
from components.step import StepError, build
from infra.code_version import code_version
from infra.store import fingerprint, identity, plain
from pipelines.recipes import RECIPES, Recipe

STEPS = (
    "download_pairs",
    "filter_pairs",
    "prepare_teacher",
    "embed_pairs",
    "select_pairs",
    "distill_student",
    "align_student",
    "evaluate_student",
    "export_student",
    "register_student",
)
# Fields that name a file or folder below the storage root, whose content is part of a step's identity.
PATH_FIELDS = ("path", "exam")


def choose_recipe(name: str, overrides: dict[str, Any]) -> Recipe:
    """A recipe with single values replaced.

    Args:
        overrides: new values by dotted name, `{"distill_student.seed": 1}`.

    Raises:
        StepError: no such recipe, no such value, or a value of the wrong type.
    """
    if name not in RECIPES:
        raise StepError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    values = _lists(dataclasses.asdict(RECIPES[name]()))
    for dotted, value in overrides.items():
        _put(values, dotted, value)
    try:
        return build(Recipe, values)
    except (TypeError, ValueError) as error:
        raise StepError(f"the recipe's values do not fit: {error}") from None


def _lists(value: Any) -> Any:
    """Nested dicts and tuples with the tuples made lists, so that single items can be replaced."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _put(values: dict, dotted: str, value: Any) -> None:
    """Replace one value in nested dicts and lists; it keeps its type."""
    *path, last = dotted.split(".")
    at: Any = values
    try:
        for part in path:
            at = at[int(part)] if isinstance(at, (list, tuple)) else at[part]
        key: Any = int(last) if isinstance(at, (list, tuple)) else last
        old = at[key]
    except (KeyError, IndexError, ValueError, TypeError):
        choices = ", ".join(at) if isinstance(at, dict) else "a position"
        raise StepError(f"the recipe has no value {dotted!r}; there is {choices}") from None
    at[key] = _as_type_of(old, value, dotted)


def _as_type_of(old: Any, value: Any, dotted: str) -> Any:
    """`value`, which may be text from a command line, in the type of the value it replaces."""
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise StepError(f"{dotted}={value!r} is no value; {old!r} stands there now") from None
    value = value if isinstance(old, float) else plain(value)
    same = type(value) is type(old) or (type(old) is float and type(value) is int)
    if old is not None and not same:
        raise StepError(f"{dotted}={value!r} should be of the type of {old!r}")
    return value


def engine_addresses(root: str, spark_master: str, ray_address: str, mlflow_uri: str) -> dict[str, str]:
    """Where the engines are; an empty MLflow address means a database below the storage root."""
    embedded = not mlflow_uri
    return {
        "spark_master": spark_master,
        "ray_address": ray_address,
        "mlflow_uri": f"sqlite:///{root}/mlflow.db" if embedded else mlflow_uri,
        "mlflow_artifacts": f"file://{root}/mlflow" if embedded else "",
    }


def resolve(recipe: Recipe, root: str, engines: dict[str, str]) -> dict[str, dict]:
    """One dict a step: `values`, `code` version, storage `root`, `engines`."""
    require_pinned(recipe.prepare_teacher)
    configs = {}
    for step in STEPS:
        values = _locate(dataclasses.asdict(getattr(recipe, step)), Path(root))
        code = code_version(f"components.{step}")
        configs[step] = {"values": values, "code": code, "root": f"{root}/store", "engines": engines}
    return configs


def _locate(value: Any, root: Path) -> Any:
    """Paths made absolute, and the content of what they name put beside them."""
    if isinstance(value, (list, tuple)):
        return [_locate(item, root) for item in value]
    if not isinstance(value, dict):
        return value
    located = {key: _locate(item, root) for key, item in value.items()}
    for field in PATH_FIELDS:
        if field in located and "content" in located:
            path = root / located[field]
            content = _content(path)
            if not content:
                raise StepError(f"{path} is not there; the recipe's {field} names it")
            located |= {field: str(path), "content": content}
    return located


def _content(path: Path) -> str:
    """The fingerprint of a file, a folder or all that a pattern fits; empty when there is nothing."""
    if path.exists():
        return fingerprint(path)
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    return identity([str(file) for file in found], [fingerprint(file) for file in found]) if found else ""
