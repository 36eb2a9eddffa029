"""From a recipe's name and overrides to one config dict a step, each with what identifies its result."""

import dataclasses
import glob
import json
import os
from pathlib import Path
from typing import Any

from components.prepare_teacher import require_pinned
from components.step import StepError, build
from infra import object_store
from infra.addresses import AddressError, file_uri, require_no_secret, require_usable_root, sqlite_uri
from infra.code_version import code_version
from infra.known_hashes import known_fingerprint
from infra.object_store import SCHEME, StoreError, is_object
from infra.store import identity, plain
from pipelines.benchmarks import require_benchmarks
from pipelines.recipes import RECIPES, Recipe
from pipelines.students import STUDENTS

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
DATA_STEPS = STEPS[:5]
PIPELINE_STEPS = {"dcclip-full": STEPS, "dcclip-data": DATA_STEPS, "dcclip-train": STEPS[5:]}
# Values that have names: one word chooses the whole.
NAMED = {"distill_student.student": STUDENTS}
# Fields that name a file or folder below the storage root, whose content is part of a step's identity.
PATH_FIELDS = ("path", "exam")


def choose_recipe(name: str, overrides: dict[str, Any]) -> Recipe:
    """A recipe with single values replaced, whole ones (`distill_student.student`) before parts of them.

    Args:
        overrides: new values by dotted name, `{"distill_student.seed": 1}`; a student also by its own name,
            `{"distill_student.student": "tiny"}`.

    Raises:
        StepError: no such recipe, no such value, or a value of the wrong type.
    """
    if name not in RECIPES:
        raise StepError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    values = _lists(dataclasses.asdict(RECIPES[name]()))
    try:
        for dotted, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
            _put(values, dotted, _of_name(dotted, value))
        _require_plain_json(values)
        return build(Recipe, values)
    except RecursionError:
        raise StepError("a value of --set is nested too deeply; no value of a recipe is") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise StepError(f"the recipe's values do not fit: {error}") from None


def _require_plain_json(values: dict) -> None:
    """Raises ValueError for what no step's config could carry: NaN, infinity, text that is no Unicode."""
    json.dumps(values, ensure_ascii=False, allow_nan=False).encode()


def _of_name(dotted: str, value: Any) -> Any:
    """What a name stands for, where values have names; else the value itself."""
    named = NAMED.get(dotted)
    if named is None or not isinstance(value, str) or value.startswith("{"):
        return value
    if value not in named:
        raise StepError(f"{dotted}={value!r:.300} is not known; choose one of {', '.join(named)}")
    return _lists(dataclasses.asdict(named[value]))


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
        except ValueError:
            raise StepError(f"{dotted}={value[:300]!r} is no value; {old!r} stands there now") from None
    value = value if isinstance(old, float) else plain(value)
    same = type(value) is type(old) or (type(old) is float and type(value) is int)
    if old is not None and not same:
        raise StepError(f"{dotted}={value!r:.300} should be of the type of {old!r}")
    return value


def engine_addresses(
    root: str, spark_master: str, ray_address: str, mlflow_uri: str, s3_endpoint: str = ""
) -> dict[str, str]:
    """Where the engines are; an empty MLflow address means a database below the storage root.

    Raises:
        StepError: the root cannot be used, or is in object storage, where no database can be, or an address
            holds a secret.
    """
    engines = {"spark_master": spark_master, "ray_address": ray_address}
    try:
        require_usable_root(root)
        for name, address in (engines | {"mlflow_uri": mlflow_uri, "s3_endpoint": s3_endpoint}).items():
            require_no_secret(name, address)
    except AddressError as error:
        raise StepError(str(error)) from None
    if is_object(root) and not mlflow_uri:
        raise StepError(
            f"the storage root {root} cannot hold the registry's database: give mlflow_uri=http://SERVER:PORT"
        )
    uri = mlflow_uri or sqlite_uri(f"{root}/mlflow.db")
    # A server keeps files where it likes; with a database alone they are below the root.
    artifacts = f"{root}/mlflow" if is_object(root) else file_uri(f"{root}/mlflow")
    return {
        **engines,
        "mlflow_uri": uri,
        "mlflow_artifacts": artifacts if uri.startswith("sqlite:") else "",
        "s3_endpoint": s3_endpoint,
    }


def local_folder(root: str) -> Path:
    """Where a run keeps what stays on this machine: logs, the registry's database, the demo's pictures.

    The root itself, unless that is in object storage.
    """
    return Path("out", "s3", root.removeprefix("s3://")).resolve() if is_object(root) else Path(root)


def resolve(
    recipe: Recipe, root: str, engines: dict[str, str], steps: tuple[str, ...] = STEPS
) -> dict[str, dict]:
    """One dict a step: `values`, `code` version, storage `root`, `engines`."""
    if "prepare_teacher" in steps:
        require_pinned(recipe.prepare_teacher)
    root = root.rstrip("/")
    configs = {}
    for step in steps:
        values = _locate(dataclasses.asdict(getattr(recipe, step)), root, engines["s3_endpoint"])
        if step == "evaluate_student":
            require_benchmarks(values)
        code = code_version(f"components.{step}")
        configs[step] = {"values": values, "code": code, "root": f"{root}/store", "engines": engines}
    return configs


def _locate(value: Any, root: str, endpoint: str) -> Any:
    """Paths made absolute, and the content of what they name put beside them.

    What is None is left out, for KFP has no word for it; everywhere it is the default.
    """
    if isinstance(value, (list, tuple)):
        return [_locate(item, root, endpoint) for item in value]
    if not isinstance(value, dict):
        return value
    located = {key: _locate(item, root, endpoint) for key, item in value.items() if item is not None}
    for field in PATH_FIELDS:
        if field in located and "content" in located:
            path = below(root, located[field])
            located |= {field: path, "content": _content(path, field, endpoint, root)}
    return located


def below(root: str, path: str) -> str:
    """The address of what stands below the root, unless it is complete itself.

    Raises:
        StepError: it would lead out of the root by `..`, or is an address without a bucket.
    """
    if ".." in path.split("/") or path.startswith(f"{SCHEME}/"):
        raise StepError(f"{path!r} leads out of the storage root; give a whole path, or one below the root")
    if is_object(path) or not is_object(root):
        return path if is_object(path) else str(Path(root) / path)
    return path if path.startswith("/") else f"{root}/{path}"


def _content(path: str, field: str, endpoint: str, root: str) -> str:
    """The fingerprint of a recipe's input."""
    try:
        if is_object(path):
            return object_store.fingerprint(path, endpoint)
        return _local_content(path, Path(root))
    except FileNotFoundError:
        raise StepError(f"{path} is not there; the recipe's {field} names it") from None
    except StoreError as error:
        raise StepError(f"{error}; the recipe's {field} names it") from error


def _local_content(path: str, root: Path) -> str:
    """The fingerprint of a file, a folder or all that a pattern fits.

    Raises:
        FileNotFoundError: there is nothing.
    """
    if os.path.exists(path):
        return known_fingerprint(Path(path), root)
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise FileNotFoundError(path)
    return identity(found, [known_fingerprint(Path(file), root) for file in found])
