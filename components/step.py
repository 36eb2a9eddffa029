"""Runs a step at its place: skip what is finished, time it, watch its memory, record what it did.

Every KFP face calls `run_step`. A step itself is a function `(config, place, engines, **inputs) ->
facts`: it reads the input folders, writes below `place`, and returns what is worth telling as a JSON-like
dict; `engines` holds addresses (Spark master, Ray address, MLflow URI).
"""

import contextlib
import dataclasses
import functools
import sys
import time
import traceback
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.console import say
from infra.memory import PeakMemory
from infra.store import DONE, identity, plain, read_done, write_json


class StepError(Exception):
    """A failure whose message tells a person what to do; shown without a traceback."""


def build(cls: type, values: Any) -> Any:
    """A dataclass from the dict that `dataclasses.asdict` makes of it, tuples and nested ones restored.

    Raises:
        ValueError: a name the class does not have.
    """
    if not dataclasses.is_dataclass(cls):
        return values
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    if unknown:
        raise ValueError(f"{cls.__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(hints)}")
    return cls(**{name: _restore(hints[name], value) for name, value in values.items()})


def _restore(hint: Any, value: Any) -> Any:
    """`value` in the shape that a type hint asks for."""
    arguments = typing.get_args(hint)
    if isinstance(value, (list, tuple)):
        return tuple(_restore(arguments[0] if arguments else Any, item) for item in value)
    if hint is float and isinstance(value, int):
        return float(value)
    # `hint` may be a dataclass or an optional one.
    nested = next((item for item in (hint, *arguments) if dataclasses.is_dataclass(item)), None)
    return build(nested, value) if nested and isinstance(value, dict) else value


def run_step(
    name: str,
    function: Callable[..., dict],
    config_class: type,
    config: dict,
    inputs: dict[str, Any],
    output: Any,
) -> None:
    """Run `function` at its place, or find it done, and point the KFP artifact `output` there.

    Args:
        name: the step, as people know it.
        config: from `components.resolve_recipe`: `values` for `config_class`, `code`, `root`, and
            `engines`, the addresses, which have no part in the identity of the result.
        inputs: KFP artifacts by the name of the function's argument.
    """
    config = plain(config)
    sources = {key: artifact.uri for key, artifact in inputs.items()}
    relative = {key: Path(uri).name for key, uri in sources.items()}
    place = Path(config["root"]) / name / identity(config["values"], config["code"], relative)
    record = read_done(place)
    reused = record is not None
    if reused:
        say(name, f"already done, nothing to do (took {record['seconds']:.0f} s then)")
    else:
        settings = build(config_class, config["values"])
        paths = {key: Path(uri) for key, uri in sources.items()}
        record = _run(name, functools.partial(function, settings, place, config["engines"], **paths), place)
    output.uri = str(place)
    output.metadata.update({**record, "reused": reused})


def _run(name: str, work: Callable[[], dict], place: Path) -> dict:
    """Do the work and write its record."""
    say(name, "starts")
    place.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with failing_clearly(name), PeakMemory().watching() as peak:
        facts = work()
    seconds = time.monotonic() - start
    record = {"step": name, "seconds": seconds, "peak_megabytes": peak.megabytes, "facts": plain(facts)}
    write_json(place / DONE, record)
    say(name, f"done in {seconds:.0f} s, peak memory {peak.megabytes:.0f} MB")
    return record


@contextlib.contextmanager
def failing_clearly(name: str) -> Iterator[None]:
    """End the process on an error with its reason as the last word, the traceback before it in the log."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, StepError):
            traceback.print_exc()
        say(name, f"failed: {explain(error)}")
        sys.exit(1)


def explain(error: BaseException) -> str:
    """One line for a person, with advice for the errors that have a usual cause."""
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full; free some space and run again, finished steps stay finished"
    if isinstance(error, StepError):
        return str(error)
    # The last line: engines quote a worker's whole traceback, with the cause at its end.
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[-1].strip()[:300]} (the full log has the details)"
