"""The edge to Ray: a session, a map over items by actors (Ray Data), a training by workers (Ray Train).

Nothing else in the project imports Ray. Here and on a cluster the code is the same; the address differs.
"""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Set before Ray is imported: no usage report, every line of a worker kept, readable prefixes, and a
# failed worker noticed before the next checkpoint is lost.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray starts its workers as nice as can be, and anything else on the machine then goes first.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
# Ray Train would print each line of a worker a second time.
os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
os.environ.setdefault("RAY_COLOR_PREFIX", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
# An actor that tells workers when their node is to be taken: ours save by the clock and go on from that.
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
# A driver that does not reach the head ends without a word; we say it before that (training/ray_node.py).
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "120")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray.exceptions
import ray.train
import ray.train.torch
import torch
from pyarrow.fs import LocalFileSystem
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util import placement_group, remove_placement_group

from infra import storage
from infra.console import say
from infra.engines import EngineGone
from infra.object_store import SCHEME
from infra.storage import AnyPath, StoragePath
from infra.working import SHARED
from training.ray_node import joined

# What Ray raises when a process, a node or the head is gone, and not for what code in a worker does.
LOSSES = (
    ray.exceptions.RayActorError,
    ray.exceptions.RaySystemError,
    ray.exceptions.RpcError,
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.OutOfMemoryError,
)
# How long a step waits for devices, with a word after each: a cloud takes minutes for a node with a GPU.
WAITS_SECONDS = (5.0, *[60.0] * 30)


@contextlib.contextmanager
def ray_session(address: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Work on the cluster whose head is at `address` (HOST:PORT), or start Ray here when that is empty.

    `environment` holds variables for its workers.

    Raises:
        EngineGone: the head does not answer, or stops to (training/ray_node.py), or a part is lost that the
            body works with.
    """
    # A process that is started here inherits all that this one has.
    variables = (storage.environment() if address else {}) | (environment or {})
    runtime = {"env_vars": variables} if variables else None
    with joined(address) if address else contextlib.nullcontext() as ip:
        # Without an address Ray would take whatever cluster was last started on this machine.
        here = {"address": "local", "include_dashboard": False}
        where = {"address": address, "_node_ip_address": ip} if address else here
        ray.init(logging_level="warning", runtime_env=runtime, **where)
        try:
            yield
        except Exception as error:
            if lost := find_loss(error):
                raise EngineGone(_what_to_do(address, lost)) from error
            raise
        finally:
            ray.shutdown()


def find_loss(error: BaseException | None) -> BaseException | None:
    """Of an error of Ray's and all that it came from, what says that a part of the cluster is gone, or None.

    Ray Train has the workers' errors in a dict of their own. What our own code raises, here or in a worker,
    is no loss, nor is an actor that could not even be made.
    """
    if isinstance(error, ConnectionError) or not type(error).__module__.startswith("ray."):
        return error if isinstance(error, ConnectionError) else None
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, LOSSES) and not getattr(each, "actor_init_failed", False):
            return each
        waiting += [each.__cause__, each.__context__, getattr(each, "cause", None)]
        waiting += [getattr(each, "controller_failure", None), *getattr(each, "worker_failures", {}).values()]
    return None


def _what_to_do(address: str, lost: BaseException) -> str:
    """For a person whose step has lost Ray, or a part of it."""
    message, *_ = (str(lost).strip() or "no message").split("\n")
    what = f"{type(lost).__name__}: {message.strip()[:200]}"
    if not address:
        return (
            f"the step's own Ray lost a process ({what}), most often for want of memory: give the step more "
            "(resources.STEP.memory), then run again: what was finished is kept"
        )
    return (
        f"the Ray cluster at {address} lost a part that the step worked with ({what}): see whether its head "
        "and workers are there and why one ended (infra/README.md), then run again: what was finished is kept"
    )


def num_devices(use_gpu: bool) -> int:
    """How many GPUs, or CPUs, the cluster has."""
    return max(1, int(ray.cluster_resources().get("GPU" if use_gpu else "CPU", 1)))


def await_devices(step: str, number: int, use_gpu: bool) -> None:
    """Return once `number` GPUs, or CPUs, of the cluster are free; until then say what the step waits for.

    The cluster is asked for them all the while, so that one whose workers scale from zero brings them.

    Raises:
        EngineGone: they did not come within half an hour.
    """
    kind = "GPU" if use_gpu else "CPU"
    group = placement_group([{kind: 1}] * number)
    try:
        for seconds in WAITS_SECONDS:
            if group.wait(seconds):
                return
            there = int(ray.cluster_resources().get(kind, 0))
            say(step, f"waits for {number} free {kind}s; the Ray cluster has {there} so far")
    finally:
        remove_placement_group(group)
    raise EngineGone(
        f"{number} {kind}s for {step} were not free within {sum(WAITS_SECONDS) / 60:.0f} minutes, the Ray "
        f"cluster has {there}: see why its workers do not come (infra/README.md), or let the recipe ask for "
        "fewer, then run again"
    )


def map_items(
    worker: type, arguments: dict, items: list[dict], *, use_gpu: bool = False, max_actors: int = 0
) -> Iterator[dict]:
    """Results of `worker(**arguments)(item)`, one actor a device, in the order of completion.

    `max_actors` are asked for, whatever the cluster has: an autoscaler brings devices, and work begins with
    the first. 0 is as many as there are now. A pool of fixed size asks for all of them at once; of one that
    grows (`min_size`, `max_size`) Ray's autoscaler heard of the first actor alone (infra/README.md).
    """
    ray.data.DataContext.get_current().enable_progress_bars = False
    # One fewer actor than CPUs would idle a core; the reading task of Ray Data needs next to none.
    actors = min(max_actors or num_devices(use_gpu), len(items))
    resources: dict[str, Any] = {"num_gpus": 1} if use_gpu else {"num_cpus": 0.9}
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map(
        worker, fn_constructor_kwargs=arguments, compute=ray.data.ActorPoolStrategy(size=actors), **resources
    )
    yield from rows.iter_rows()


@dataclass(frozen=True)
class Session:
    """What a training worker knows of its run."""

    rank: int
    world: int
    device: torch.device
    save: Callable[[Path], None]
    restored: AnyPath | None


def _session() -> Session:
    """This worker's session; `save(folder)` stores a checkpoint, on rank 0, and must be called on all."""
    context = ray.train.get_context()
    rank = context.get_world_rank()

    def save(folder: Path) -> None:
        checkpoint = Checkpoint.from_directory(folder) if rank == 0 else None
        ray.train.report({"saved": 1}, checkpoint=checkpoint)

    found = ray.train.get_checkpoint()
    restored = _path_of(found) if found else None
    device = ray.train.torch.get_device()
    return Session(rank, context.get_world_size(), device, save, restored)


def _path_of(checkpoint: Checkpoint) -> AnyPath:
    """Where a checkpoint is, to be read there."""
    if isinstance(checkpoint.filesystem, LocalFileSystem):
        return Path(checkpoint.path)
    parent, _, name = checkpoint.path.rpartition("/")
    return StoragePath(f"{SCHEME}{parent}") / name


def _checkpoints_at(place: AnyPath) -> dict[str, Any]:
    """Where Ray Train keeps checkpoints: in the store that the place is in, for every attempt at it."""
    if not isinstance(place, StoragePath):
        return {"storage_path": str(place / "ray")}
    address = f"{place.root.rpartition('/')[0]}/{SHARED}"
    return {"storage_path": address.removeprefix(SCHEME), "storage_filesystem": storage.arrow()}


def fit(
    worker: Callable[[Any, Session], None], job: Any, *, num_workers: int, use_gpu: bool, place: AnyPath
) -> None:
    """Run `worker(job, session)` on every worker; a rerun at the same place resumes its checkpoint.

    Raises:
        RuntimeError: training failed; the message is the first worker's.
    """

    def loop(settings: dict) -> None:
        try:
            worker(settings["job"], _session())
        except Exception as error:
            # Ray pickles what a worker raises, which not every library's errors survive.
            traceback.print_exc()
            raise RuntimeError(f"{type(error).__name__}: {error}") from None

    trainer = TorchTrainer(
        loop,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name="train",
            **_checkpoints_at(place),
            # Another worker for a lost one is waited for as often as for the first, a minute at a time.
            failure_config=ray.train.FailureConfig(
                max_failures=1, controller_failure_limit=len(WAITS_SECONDS)
            ),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
        ),
    )
    trainer.fit()
