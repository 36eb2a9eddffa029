"""Runs a pipeline on this machine through KFP's local runner: same DAG, same steps, embedded engines.

The steps' marked lines go to the terminal, everything to `<root>/runs/<time>/run.log`.
"""

import contextlib
import copy
import errno
import itertools
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp import local

from components.step import StepError
from infra.addresses import AddressError, require_usable_root, sqlite_uri
from infra.object_store import is_object
from infra.places import read_record
from infra.processes import PARENT, nothing_left_running
from pipelines.containers import container_runner
from pipelines.corpus_lock import corpus_kept
from pipelines.full import PIPELINES
from pipelines.resolve import choose_recipe, local_folder
from pipelines.run_log import Console, open_log
from spark_jobs.session import require_java

MIN_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class LocalRun:
    """A finished run: each step's record, its artifact's place, and how long this run took."""

    records: dict[str, dict]
    places: dict[str, str]
    seconds: float
    log: Path

    @property
    def num_reused(self) -> int:
        """Steps that were found done."""
        return sum(bool(record["reused"]) for record in self.records.values())


def check_machine(root: Path) -> None:
    """Raises StepError with what to do about a missing Java, or too little room on the disk."""
    try:
        require_java()
    except RuntimeError as error:
        raise StepError(str(error)) from None
    free = shutil.disk_usage(root).free
    if free < MIN_FREE_BYTES:
        raise StepError(
            f"only {free / 2**30:.1f} GiB are free below {root}, {MIN_FREE_BYTES / 2**30:.0f} needed"
        )


def run_locally(
    recipe_name: str,
    overrides: dict[str, Any],
    root: str,
    s3_endpoint: str = "",
    pipeline: str = "dcclip-full",
    *,
    in_containers: bool = False,
    **engines: str,
) -> LocalRun:
    """Run a pipeline below `root`, a folder or an S3 address, and return what came of it.

    Args:
        in_containers: each step in a container of its image, and not in a process of this environment.
        engines: addresses that are not this machine's: `spark_master`, `ray_address`, `mlflow_uri`.

    Raises:
        StepError: the machine, the recipe or a step is at fault; the message says what to do.
        StoreError: object storage is.
    """
    corpus = choose_recipe(recipe_name, overrides).corpus
    check_root(root)
    if in_containers and is_object(root):
        raise StepError(f"containers share a folder of this machine, which {root} is not: --root FOLDER")
    here = local_folder(root)
    check_machine(make_folder(here))
    folder = _new_folder(here / "runs", time.strftime("%Y%m%d-%H%M%S"))
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open_log(folder / "run.log"))
        console = stack.enter_context(contextlib.redirect_stdout(Console(sys.stdout, log)))
        stack.enter_context(nothing_left_running())
        if not is_object(root):
            stack.enter_context(corpus_kept(corpus, here))
        addresses = {"storage_root": root, "mlflow_uri": sqlite_uri(here / "mlflow.db")}
        addresses |= {"s3_endpoint": s3_endpoint, **engines}
        runner = _open_runner(in_containers, here, folder / "kfp", stack)
        local.init(runner, pipeline_root=str(folder / "kfp"))
        arguments = {"recipe": recipe_name, "overrides": overrides, **addresses}
        _run_pipeline(pipeline, arguments, folder, console)
    records, places = read_outcome(folder / "kfp", s3_endpoint)
    return LocalRun(records, places, time.monotonic() - start, folder / "run.log")


def check_root(root: str) -> None:
    """Raises StepError for a storage root that a step would stumble over."""
    try:
        require_usable_root(root)
    except AddressError as error:
        raise StepError(str(error)) from None


def make_folder(folder: Path) -> Path:
    """The folder, made where it is not there.

    Raises:
        StepError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (FileExistsError, NotADirectoryError):
        raise StepError(f"{folder} cannot be a folder, a file is in the way; give another: --root") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        reason = error.strerror or error
        raise StepError(f"nothing can be written to {folder} ({reason}); give another: --root") from None


def _open_runner(
    in_containers: bool, here: Path, outputs: Path, stack: contextlib.ExitStack
) -> local.SubprocessRunner | local.DockerRunner:
    """How KFP's local runner starts a step, as long as the stack is open."""
    if in_containers:
        return stack.enter_context(container_runner(here, outputs))
    return local.SubprocessRunner(use_venv=False)


def _new_folder(parent: Path, name: str) -> Path:
    """A folder that no other run has, not even one that began in the same second."""
    for suffix in itertools.chain([""], map("-{}".format, itertools.count(2))):
        folder = parent / f"{name}{suffix}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("numbers do not end")


def keep_freed_memory() -> None:
    """Let glibc keep what tensors free instead of faulting it in again: training is 1.5 times faster.

    Read by glibc when a process starts, so it is for the steps and the workers they start. A cluster's
    image sets the same.
    """
    for name, value in {"MMAP_MAX_": "0", "TRIM_THRESHOLD_": str(2**31), "TOP_PAD_": str(2**26)}.items():
        os.environ.setdefault(f"MALLOC_{name}", value)


def keep_to_this_machine() -> None:
    """No proxy between the engines that talk to each other on loopback."""
    os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1"]))


def _run_pipeline(name: str, arguments: dict[str, Any], folder: Path, console: Console) -> None:
    """KFP's local runner over the DAG; the steps know themselves what is done, so its cache stays off."""
    keep_freed_memory()
    keep_to_this_machine()
    os.environ[PARENT] = str(os.getpid())
    # At the keyboard a failure is worth a look at once, not after retries.
    pipeline = copy.deepcopy(PIPELINES[name])
    for task in pipeline.pipeline_spec.root.dag.tasks.values():
        task.ClearField("retry_policy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pipeline(**arguments)
        except RuntimeError as error:
            logging.getLogger(__name__).debug("pipeline failed", exc_info=error)
            raise StepError(
                f"the run stopped; {console.reason()}, the whole log in {folder / 'run.log'}. "
                "Finished steps stay finished: run again to go on"
            ) from None


def read_outcome(folder: Path, s3_endpoint: str = "") -> tuple[dict[str, dict], dict[str, str]]:
    """(record, place) by step: the references that KFP's local runner keeps of a run, and what they name."""
    records, places = {}, {}
    for file in folder.glob("*/*/executor_output.json"):
        for artifacts in json.loads(file.read_text()).get("artifacts", {}).values():
            for told in (artifact["metadata"] for artifact in artifacts["artifacts"]):
                if "step" in told:
                    step, place = told["step"], told["address"]
                    record = read_record(place, s3_endpoint)
                    assert record is not None, f"{place} was finished a moment ago"
                    records[step], places[step] = record | {"reused": bool(told["reused"])}, place
    return records, places
