"""A run's parameters: read as the pipeline declares them, and checked before anything is sent.

What step 0 of the run would refuse is refused here, in a second: an unknown recipe or value, a wrong type, a
hub teacher without its commit, an address that is none, a list that is not there. Storage that is not mounted
here is left to step 0, with a word about it.
"""

import dataclasses
import glob
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.prepare_teacher import require_pinned
from components.step import StepError
from infra import object_store
from infra.addresses import without_secrets
from infra.object_store import StoreError, is_object
from pipelines.recipes import Recipe
from pipelines.resolve import PATH_FIELDS, below, choose_recipe, engine_addresses
from pipelines.server.package import Package

# KFP's words for types: what JSON gives, and how to say it.
TYPES = {
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
    "BOOLEAN": (bool, "true or false"),
    "LIST": (list, "a JSON list"),
    "STRUCT": (dict, "a JSON object"),
}
ADDRESSES = {
    "storage_root": (r"/.*|s3://[^/]+.*", "a folder that every pod mounts, /…, or s3://BUCKET/PREFIX"),
    "spark_master": (
        r"local(\[.+\])?|spark://[^/:]+:\d+(,[^/:]+:\d+)*|k8s://.+|yarn",
        "spark://HOST:PORT, k8s://URL or local[*]",
    ),
    # Not Ray's client, ray://: a step joins the cluster as a node (training/ray_node.py).
    "ray_address": (r"|[^/:]+:\d+", "its head's HOST:PORT, or nothing for a Ray of the step's own"),
    "mlflow_uri": (
        r"|https?://[^/]+.*|(sqlite|postgresql|mysql|mssql)\S*://.+|databricks\S*",
        "http://HOST:PORT, or nothing for a database below the storage root",
    ),
    "s3_endpoint": (r"|https?://[^/]+/?", "http://HOST:PORT, or nothing for AWS"),
}
HERE_ONLY = re.compile(r"(^|//)(127\.|localhost|\[::1\])")


def read_parameters(
    package: Package, given: list[tuple[str, str]], overrides: list[tuple[str, str]]
) -> dict[str, Any]:
    """`name=value` words in the types that the pipeline declares, and overrides of the recipe beside them.

    Raises:
        StepError: the pipeline has no such parameter, or the value is of another type.
    """
    values = {name: _typed(package, name, text) for name, text in given}
    if overrides:
        values["overrides"] = {**_typed(package, "overrides", "{}"), **values.get("overrides", {})}
        values["overrides"] |= dict(overrides)
    return values


def _typed(package: Package, name: str, text: str) -> Any:
    """A parameter's value from its text."""
    kind = package.parameters.get(name)
    if kind is None:
        known = ", ".join(package.parameters)
        raise StepError(
            f"{package.name} has no parameter {name!r}; it has {known}. A value of the recipe: --set"
        )
    if kind == "STRING":
        return text
    wanted, words = TYPES[kind]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StepError(f"{name}={text[:300]!r} should be {words}: {error}") from None
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        raise StepError(f"{name}={text!r} should be {words}")
    return value


def check_parameters(package: Package, values: dict[str, Any]) -> list[str]:
    """What a person should know although it is no error, one line each.

    Raises:
        StepError: the run could not succeed with these values.
    """
    values = package.defaults | values
    notes = [_check_address(name, value) for name, value in values.items() if name in ADDRESSES]
    if "recipe" not in values:
        return list(filter(None, notes))
    recipe = choose_recipe(values["recipe"], values.get("overrides", {}))
    steps = {name.replace("-", "_") for name in package.tasks}
    if "prepare_teacher" in steps:
        require_pinned(recipe.prepare_teacher)
    if "mlflow_uri" in values:
        names = ("storage_root", "spark_master", "ray_address", "mlflow_uri", "s3_endpoint")
        engine_addresses(*(values.get(name) or "" for name in names))
    notes.append(_check_inputs(recipe, steps, values))
    return list(filter(None, notes))


def _check_address(name: str, value: str) -> str | None:
    """A warning about an address that a pod takes for itself."""
    pattern, wanted = ADDRESSES[name]
    if not re.fullmatch(pattern, value):
        raise StepError(f"{name}={without_secrets(value)!r} is no address; give {wanted}")
    if HERE_ONLY.search(value):
        return f"{name}={value} is this machine to us, but each pod itself on a cluster"
    return None


def _check_inputs(recipe: Recipe, steps: set[str], values: dict[str, Any]) -> str | None:
    """Look for the lists and exams that the recipe names; a warning where they cannot be seen from here."""
    root = str(values.get("storage_root", "")).rstrip("/")
    config = {step: value for step, value in dataclasses.asdict(recipe).items() if step in steps}
    inputs = dict(_inputs(config))
    if is_object(root) or Path(root).is_dir():
        return _look_for_all(inputs, root, values.get("s3_endpoint", ""))
    if recipe.corpus and any(path.startswith("corpus/") for path in inputs):
        raise StepError(
            f"recipe {values['recipe']!r} crawls pictures that `dcclip run` serves on its own machine; "
            "on a cluster choose another: recipe=full"
        )
    return f"{root} is not mounted here: {', '.join(inputs)} are looked for by the run" if inputs else None


def _look_for_all(inputs: dict[str, str], root: str, endpoint: str) -> str | None:
    """Raises StepError or StoreError for what is not there; a warning when object storage does not say."""
    try:
        for path, field in inputs.items():
            _look_for(below(root, path), field, endpoint)
    except StoreError as error:
        # With a cause it is about the connection or the credentials; a pod may have others.
        if error.__cause__ is None:
            raise
        return f"the recipe's inputs are looked for by the run, from here it cannot be done: {error}"
    return None


def _inputs(value: Any) -> Iterator[tuple[str, str]]:
    """(path, field) of each file or folder that a recipe's values name."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _inputs(item)
    if isinstance(value, dict):
        if "content" in value:
            yield from ((value[field], field) for field in PATH_FIELDS if value.get(field))
        for item in value.values():
            yield from _inputs(item)


def _look_for(path: str, field: str, endpoint: str) -> None:
    """Raises StepError or StoreError when nothing is there."""
    if is_object(path):
        object_store.find_inputs(path, endpoint)
    elif not glob.glob(path, recursive=True) and not Path(path).exists():
        raise StepError(f"{path} is not there; the recipe's {field} names it")
