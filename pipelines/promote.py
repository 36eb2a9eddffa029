"""`dcclip promote` and `dcclip rollback`: a person decides who is champion, and the registry remembers it.

Both print what they compare and what they do, and ask nothing, so that scripts can use them; `--dry-run` only
shows. Whoever loads `models:/dcclip@champion` after that gets the other version, whoever has loaded it before
keeps his.
"""

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.step import StepError
from infra.addresses import sqlite_file
from pipelines.resolve import engine_addresses, local_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ROWS = {
    "English top-1": "top1_en",
    "Chinese top-1": "top1_zh",
    "parameters": "parameters",
    "exam": "exam",
    "exam's fingerprint": "exam_content",
    "data": "data",
    "decision": "decision",
}


def promote(options: argparse.Namespace) -> None:
    """Make a version champion."""
    from training import champion

    with _registry(options) as client:
        wanted = _wanted(client, options.model, options.version)
        now = champion.by_alias(client, options.model, champion.CHAMPION)
        number, replaced = champion.number_of(wanted), champion.number_of(now)
        print("\n".join(comparison(now, wanted)))
        if number == replaced:
            print(f"version {number} is the champion already")
        elif options.dry_run:
            print(f"nothing changed; without --dry-run version {number} would be champion")
        else:
            champion.promote(client, options.model, number, options.reason)
            was = f", version {replaced} was; `dcclip rollback` undoes it" if replaced else ""
            print(f"version {number} is champion now{was}")


def rollback(options: argparse.Namespace) -> None:
    """Make the champion before this one champion again."""
    from training import champion

    with _registry(options) as client:
        gone, back = champion.rollback(client, options.model, options.reason)
        print("\n".join(comparison(*(champion.by_number(client, options.model, n) for n in (gone, back)))))
    print(f"version {back} is champion again, version {gone} no more")


def _wanted(client: "MlflowClient", model: str, number: int | None) -> "ModelVersion":
    """The version asked for, or the challenger."""
    from training import champion

    if number is not None:
        return champion.by_number(client, model, number)
    found = champion.by_alias(client, model, champion.CHALLENGER)
    if found is None:
        raise StepError(f"{model} has no challenger; name a version: --version N")
    return found


def comparison(one: "ModelVersion | None", other: "ModelVersion") -> list[str]:
    """Two versions side by side, by their tags."""
    versions = [version for version in (one, other) if version is not None]
    lines = [f"{'version':<20}" + "".join(f"{version.version!s:>18}" for version in versions)]
    for title, tag in ROWS.items():
        cells = [_shown(tag, version.tags.get(tag, "unknown")) for version in versions]
        if tag == "decision":
            numbered = zip(versions, cells, strict=True)
            lines += [f"decision on {version.version}: {cell}" for version, cell in numbered]
        else:
            lines.append(f"{title:<20}" + "".join(f"{cell:>18}" for cell in cells))
    exams = {version.tags.get("exam_content") for version in versions}
    if len(exams) > 1:
        lines.append("these figures are of different exams, and do not compare")
    return lines


def _shown(tag: str, value: str) -> str:
    return f"{100 * float(value):.1f}%" if tag.startswith("top1") and value != "unknown" else value


@contextlib.contextmanager
def _registry(options: argparse.Namespace) -> Iterator["MlflowClient"]:
    """The registry, its troubles told in a line."""
    import logging

    # The answer is the only thing worth reading here.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    from training.champion import NoSuchVersion
    from training.registry_client import open_registry, trouble

    uri = registry_address(options.root, options.mlflow_uri)
    try:
        yield open_registry(uri)
    except NoSuchVersion as error:
        raise StepError(str(error)) from None
    except (MlflowException, RequestException) as error:
        raise StepError(trouble(uri, error)) from None
    finally:
        logging.disable(before)


def registry_address(root: str, mlflow_uri: str) -> str:
    """The address given, or the database below the root.

    Raises:
        StepError: there is no such database.
    """
    uri = mlflow_uri or engine_addresses(str(local_folder(root)), "", "", "")["mlflow_uri"]
    path = sqlite_file(uri)
    if path is not None and not path.exists():
        raise StepError(f"there is no registry at {path}; `make run` makes one, --mlflow-uri names another")
    return uri
