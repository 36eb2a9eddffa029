"""What kfp_server_api says that the API takes: its operations, and whether a value is of a model.

Read from the generated client itself, so that no table of paths is kept here. Strict where the client is not:
a field that a model lacks, an enumeration's unknown word, or an output field in a request is told.
"""

import inspect
import json
import re
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import kfp_server_api
from kfp_server_api import models

SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}
# 64 bits: text to the models, and a number is taken too (https://protobuf.dev/programming-guides/json/).
LONG = {"max_concurrency", "interval_second"}


@dataclass(frozen=True)
class Operation:
    """One thing to ask: where, with which query, and a body of which model."""

    name: str
    verb: str
    path: str
    queries: frozenset[str]
    body: str
    file: str
    response: str

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parameters, None for another path."""
        pattern = re.sub(r"\\{([^}]*)\\}", r"([^/:]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        names = re.findall(r"\{([^}]*)\}", self.path)
        return dict(zip(names, map(unquote, found.groups()), strict=True)) if found else None


@cache
def operations() -> tuple[Operation, ...]:
    """All operations of the generated client, those with the plainest paths first."""
    services = [kind for name, kind in vars(kfp_server_api).items() if name.endswith("ServiceApi")]
    methods = [
        (name, method)
        for service in services
        for name, method in inspect.getmembers(service, inspect.isfunction)
        if name.endswith("_with_http_info")
    ]
    found = [_operation(name.removesuffix("_with_http_info"), inspect.getsource(it)) for name, it in methods]
    return tuple(sorted(found, key=lambda operation: operation.path.count("{")))


def _operation(name: str, source: str) -> Operation:
    """One operation from the source of the method that asks for it."""

    def first(pattern: str) -> str:
        found = re.search(pattern, source)
        return found.group(1) if found else ""

    path, verb = re.search(r"'(/apis/[^']*)', '([A-Z]+)'", source).groups()
    body = first(r"body_params = local_var_params\['(\w+)'\]")
    return Operation(
        name=name,
        verb=verb,
        path=path,
        queries=frozenset(re.findall(r"query_params\.append\(\('([\w.]+)'", source)),
        body=first(rf":type {body}: (\S+)") if body else "",
        file=first(r"local_var_files\['(\w+)'\]"),
        response=first(r"response_type='([^']+)'"),
    )


def find_operation(verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation that a request asks for, and the parameters in its path."""
    for operation in operations():
        if operation.verb == verb and (found := operation.match(path)) is not None:
            return operation, found
    return None


def parse(value: Any, kind: str) -> Any:
    """The model's object, as the generated client itself makes it of JSON."""
    return kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=json.dumps(value)), kind)


def faults(value: Any, kind: str, where: str, asked: bool) -> list[str]:
    """Why a JSON value is not of a model; `asked` is whether it stands in a request."""
    if kind in ("object", "ProtobufAny"):
        return []
    if kind in SCALARS:
        fits = isinstance(value, SCALARS[kind]) or (where.rpartition(".")[2] in LONG and type(value) is int)
        return [] if fits else [f"{where} is {value!r}, no {kind}"]
    if found := re.fullmatch(r"(list\[|dict\(str, )(.*)[\])]", kind):
        return _faults_within(value, *found.groups(), where, asked)
    model = getattr(models, kind)
    if not model.openapi_types:
        return [] if value in model.allowable_values else [f"{where} is {value!r}, no {kind}"]
    return _faults_of_fields(value, model, where, asked)


def _faults_within(value: Any, outer: str, kind: str, where: str, asked: bool) -> list[str]:
    """The same for each item of a list or a dict."""
    if not isinstance(value, list if outer == "list[" else dict):
        return [f"{where} is {value!r}, no {outer}…"]
    items = value if isinstance(value, list) else value.values()
    return [fault for item in items for fault in faults(item, kind, where, asked)]


def _faults_of_fields(value: Any, model: type, where: str, asked: bool) -> list[str]:
    """The same for each field of a model's object."""
    if not isinstance(value, dict):
        return [f"{where} is {value!r}, no {model.__name__}"]
    fields = {model.attribute_map[name]: (name, kind) for name, kind in model.openapi_types.items()}
    found = [f"{where} has no {key}" for key in value if key not in fields]
    for key in set(value) & set(fields):
        name, kind = fields[key]
        if asked and "Output." in getattr(model, name).__doc__:
            found.append(f"{where}.{key} is for the server to say")
        found += faults(value[key], kind, f"{where}.{key}", asked)
    return found
