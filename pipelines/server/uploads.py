"""Pipelines and their versions on the server: there once, whoever asks, however often.

`Client.upload_pipeline` would name a pipeline's first version after the pipeline. Here a pipeline begins
empty, and every version has the name that follows from its content.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_server_api import ApiException, V2beta1Pipeline

from pipelines.server.connection import Client, told_clearly
from pipelines.server.package import Package

PAGE_SIZE = 100


@dataclass(frozen=True)
class Uploaded:
    """A version on the server; `new` says that it was not there before."""

    pipeline_id: str
    version_id: str
    new: bool


def upload(client: Client, package: Package) -> Uploaded:
    """The package's version on the server, sent there unless it is.

    Raises:
        StepError: the server refuses, or cannot be reached.
    """
    with told_clearly(client.host):
        pipeline_id = _find_or_make(lambda: _find_pipeline(client, package), lambda: _make(client, package))
        found = _find_version(client, pipeline_id, package)
        version_id = found or _find_or_make(
            lambda: _find_version(client, pipeline_id, package), lambda: _send(client, pipeline_id, package)
        )
    return Uploaded(pipeline_id, version_id, not found)


def every(ask: Callable[..., Any], field: str, name: str = "", **wanted: Any) -> Iterator[Any]:
    """All items of a list that the server gives in pages, or those of one display name."""
    # 1 is EQUALS, as the stock client writes it.
    equals = {"predicates": [{"operation": 1, "key": "display_name", "stringValue": name}]}
    wanted["filter"] = json.dumps(equals) if name else None
    token = ""
    while True:
        page = ask(page_token=token, page_size=PAGE_SIZE, **wanted)
        yield from getattr(page, field) or []
        token = page.next_page_token
        if not token:
            return


def _find_or_make(find: Callable[[], str | None], make: Callable[[], str]) -> str:
    """The id of what is there, else of what is made; someone else may make it meanwhile."""
    if found := find():
        return found
    try:
        return make()
    except ApiException as error:
        if error.status != 409 or not (found := find()):
            raise
        return found


def _find_pipeline(client: Client, package: Package) -> str | None:
    """The pipeline's id. The stock client's get_pipeline_id looks in no namespace but the shared one."""
    namespace = client.get_user_namespace()
    found = every(client.list_pipelines, "pipelines", package.name, namespace=namespace)
    return next((item.pipeline_id for item in found), None)


def _make(client: Client, package: Package) -> str:
    """A pipeline without versions. By its display name alone: servers before 2.5 know no other."""
    about = V2beta1Pipeline(display_name=package.name, namespace=client.get_user_namespace() or None)
    return client.pipelines.pipeline_service_create_pipeline(pipeline=about).pipeline_id


def _find_version(client: Client, pipeline_id: str, package: Package) -> str | None:
    """The id of the version of that name."""
    name = package.version
    found = every(client.list_pipeline_versions, "pipeline_versions", name, pipeline_id=pipeline_id)
    return next((item.pipeline_version_id for item in found), None)


def _send(client: Client, pipeline_id: str, package: Package) -> str:
    """Upload the compiled text as a version."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{package.name}.yaml")
        file.write_text(package.text)
        version = client.upload_pipeline_version(
            str(file), package.version, pipeline_id, description=package.description
        )
    return version.pipeline_version_id
