"""Runs a step at its place: skip what is finished, time it, watch its memory, record what it did.

Every KFP face calls `run_step`. A step itself is a function `(config, place, engines, **inputs) ->
facts`: it reads the input folders, writes below `place`, and returns what is worth telling as a JSON-like
dict; `engines` holds addresses (Spark master, Ray address, MLflow URI, S3 endpoint). Inputs in object storage
are read where they lie by steps that name them in `in_place` (infra/storage.py); for the others they are
copied to this machine first (infra/places.py).
"""

import contextlib
import dataclasses
import functools
import sys
import time
import traceback
import typing
from collections.abc import Callable, Iterator
from typing import Any

from components.reference import read_reference, refer, write_metrics, write_reference, write_text
from infra.console import say
from infra.engines import EngineGone
from infra.memory import PeakMemory
from infra.object_store import StoreError, endpoint_known, is_object
from infra.places import local_copy, local_input, read_record, stored_path, working_folder
from infra.processes import end_with_parent
from infra.store import identity, plain
from infra.working import working_path


class StepError(Exception):
    """A failure whose message tells a person what to do; shown without a traceback."""


TOLD = (StepError, StoreError, EngineGone)


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


def result_name(config: dict, inputs: dict[str, str]) -> str:
    """The name of a result among its step's: what `config` has as values and code, and the inputs' names."""
    return identity(config["values"], config["code"], inputs)


def run_step(
    name: str,
    function: Callable[..., dict],
    config_class: type,
    config: dict,
    inputs: dict[str, Any],
    output: Any,
    only: dict[str, tuple[str, ...]] | None = None,
    in_place: tuple[str, ...] = (),
    finished_by: tuple[str, ...] | None = None,
    carried: tuple[str, ...] = (),
    metrics: Any = None,
    pages: dict[str, Any] | None = None,
) -> None:
    """Run `function` at its place, or find it done, and make the KFP artifact `output` a reference to it.

    Args:
        name: the step, as people know it.
        config: from `components.resolve_recipe`: `values` for `config_class`, `code`, `root`, and
            `engines`, the addresses, which have no part in the identity of the result.
        inputs: KFP artifacts, references, by the name of the function's argument.
        only: for inputs of which few files are needed, patterns of those: the rest is not fetched from
            object storage. The record `done.json` always is.
        in_place: inputs, and names among the values, of which nothing is fetched beforehand: the function
            gets a `StoragePath` for an input in object storage, and the value as it is.
        finished_by: where the function writes to object storage itself, patterns of the files by which it
            finishes a piece of its work (infra/working.py); None where it works in a folder.
        carried: with that, patterns of small files that an attempt begins with as the one before left them.
        metrics: a KFP Metrics artifact for the figures among the step's facts.
        pages: KFP artifacts of pages for people, by the name of the file in the result.
    """
    config = plain(config)
    engines = config["engines"]
    with failing_clearly(name), endpoint_known(endpoint := engines.get("s3_endpoint", "")):
        references = {key: read_reference(artifact) for key, artifact in inputs.items()}
        relative = {key: reference.identity for key, reference in references.items()}
        place = f"{config['root']}/{name}/{result_name(config, relative)}"
        record = read_record(place, endpoint)
        reused = record is not None
        if record is None:
            with contextlib.ExitStack() as stack:
                paths = {
                    key: stored_path(item.address, endpoint)
                    if key in in_place
                    else stack.enter_context(local_copy(item.address, endpoint, name, (only or {}).get(key)))
                    for key, item in references.items()
                }
                values = _localised(config["values"], endpoint, name, stack, in_place)
                if finished_by is None:
                    working = working_folder(place, endpoint, name)
                else:
                    working = working_path(place, endpoint, name, finished_by, carried)
                folder, finish = stack.enter_context(working)
                settings = build(config_class, values)
                work = functools.partial(function, settings, folder, engines, **paths)
                # Whoever held the folder until now may have done the work.
                record = read_record(place, endpoint)
                reused = record is not None
                record = record or finish({**_run(name, work), "values": config["values"]})
        if reused:
            say(name, f"already done, nothing to do (took {record['seconds']:.0f} s then)")
        reference = refer(name, place, record, reused)
        write_reference(output, reference)
        if metrics is not None:
            write_metrics(metrics, reference.figures)
        for file, artifact in (pages or {}).items():
            # Kubeflow's pages do not look into the store.
            with local_copy(place, endpoint, name, (file,)) as folder:
                write_text(artifact, (folder / file).read_text(encoding="utf-8"))


def _localised(
    value: Any, endpoint: str, name: str, stack: contextlib.ExitStack, in_place: tuple[str, ...]
) -> Any:
    """Values with what they name in object storage copied to this machine while the stack is open."""
    rest = (endpoint, name, stack, in_place)
    if isinstance(value, dict):
        return {key: item if key in in_place else _localised(item, *rest) for key, item in value.items()}
    if isinstance(value, list):
        return [_localised(item, *rest) for item in value]
    return stack.enter_context(local_input(value, endpoint, name)) if is_object(value) else value


def _run(name: str, work: Callable[[], dict]) -> dict:
    """Do the work and return its record."""
    say(name, "starts")
    start = time.monotonic()
    with PeakMemory().watching() as peak:
        facts = work()
    seconds = time.monotonic() - start
    say(name, f"done in {seconds:.0f} s, peak memory {peak.megabytes:.0f} MB")
    return {"step": name, "seconds": seconds, "peak_megabytes": peak.megabytes, "facts": plain(facts)}


@contextlib.contextmanager
def failing_clearly(name: str) -> Iterator[None]:
    """End the process on an error with its reason as the last word, the traceback before it in the log."""
    end_with_parent()
    try:
        yield
    except Exception as error:
        if not isinstance(error, TOLD):
            traceback.print_exc()
        say(name, f"failed: {explain(error)}")
        sys.exit(1)


def explain(error: BaseException) -> str:
    """One line for a person, with advice for the errors that have a usual cause."""
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full; free some space and run again, finished steps stay finished"
    if isinstance(error, TOLD):
        return str(error)
    # The last line: engines quote a worker's whole traceback, with the cause at its end.
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[-1].strip()[:300]} (the full log has the details)"
