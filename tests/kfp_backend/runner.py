"""Executes a compiled pipeline task by task under the rules of Kubeflow Pipelines 2.17.0, without Kubernetes.

    run = Runner(yaml_text, {"recipe": "smoke"}, "minio://BUCKET/v2/artifacts", client, folder).run()

KFP's local runner forgives what the backend refuses: there every artifact is a path of one machine. Here its
address is generated below the pipeline root, each input is fetched from a real S3 server to a folder of this
pod alone before the step, each output goes up after it, and the launcher's refusals come in its words. The
rules stand in `addresses.py`, `values.py`, `blobs.py`, `driver.py` and `launcher.py`, each with its place in
the backend's source.

A task is tried as often as its retry policy says, each time as a new pod, as an installation does whose
workflows retry failures (`retryPolicy: Always`). Left out on purpose: waiting between attempts, limits of
time and memory, and mounts: a folder as storage root is this machine's.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kfp_backend.addresses import BackendError, output_uri, parse_root
from tests.kfp_backend.blobs import Blobs
from tests.kfp_backend.driver import (
    Cluster,
    Results,
    Task,
    environment_of,
    provision_outputs,
    resolve_inputs,
    resources_of,
    root_inputs,
    tasks_of,
)
from tests.kfp_backend.launcher import Attempt, Store


@dataclass
class Run:
    """What became of a run: outputs, every attempt, sizes, and why attempts failed, by task."""

    root: str
    results: Results
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def log(self, task: str, number: int = -1) -> str:
        """What an attempt printed."""
        attempt = self.attempts[task][number]
        file = attempt.path(attempt.outputs["executor-logs"].uri)
        return file.read_text(errors="replace") if file.exists() else ""


class RunFailed(BackendError):
    """A task used up its attempts; `run` has all until then."""

    def __init__(self, task: str, message: str, run: Run):
        super().__init__(f"{task}: {message}")
        self.task, self.message, self.run = task, message, run


@dataclass
class Runner:
    """A compiled pipeline, its parameters, and where its artifacts go.

    Attributes:
        text: both documents that `dcclip compile` writes.
        pipeline_root: `minio://BUCKET/PREFIX` or `s3://…`, of the server that `client` (boto3) is for.
        folder: containers' files are below it.
        kill_when: by task, when the step of its first attempt is killed, as by the kernel for its memory.
        until: the last task to be run, all if empty.
        whole_as_float, newer: see tests/kfp_backend/launcher.py.
    """

    text: str
    parameters: dict[str, Any]
    pipeline_root: str
    client: Any
    folder: Path
    cluster: Cluster = field(default_factory=Cluster)
    kill_when: dict[str, Callable[[], bool]] = field(default_factory=dict)
    until: str = ""
    whole_as_float: bool = False
    newer: bool = False

    def run(self) -> Run:
        """Every task, in order.

        Raises:
            RunFailed: a task did not succeed, with the launcher's last words.
        """
        pipeline, *platforms = yaml.safe_load_all(self.text)
        # metadata/client.go:420
        name, run_id = pipeline["pipelineInfo"]["name"], str(uuid.uuid4())
        root = output_uri(self.pipeline_root, name, run_id)
        run = Run(root, Results(root_inputs(pipeline, self.parameters)))
        store = Store(Blobs(self.client), parse_root(root), self.whole_as_float, self.newer)
        for task in tasks_of(pipeline, platforms[0] if platforms else {}):
            self._run_task(task, run, store)
            if task.name == self.until:
                break
        return run

    def _run_task(self, task: Task, run: Run, store: Store) -> None:
        """One task, until an attempt succeeds; the driver decides once, its addresses are every attempt's."""
        try:
            values, inputs = resolve_inputs(task, run.results)
            outputs, names, file = provision_outputs(task, run.root)
            run.resources[task.name] = resources_of(task, values)
            environment = environment_of(task, self.cluster, run.results)
        except BackendError as error:
            raise RunFailed(task.name, str(error), run) from None
        run.attempts[task.name], run.failures[task.name] = [], []
        for number in range(task.attempts):
            pod = self.folder / f"{task.name}-{number}"
            attempt = Attempt(task, number, pod, store, environment, values, inputs, outputs, names, file)
            run.attempts[task.name].append(attempt)
            try:
                made = attempt.run(None if number else self.kill_when.get(task.name))
            except BackendError as error:
                run.failures[task.name].append(str(error))
                continue
            run.results.parameters[task.name], run.results.artifacts[task.name] = made
            return
        raise RunFailed(task.name, run.failures[task.name][-1], run)
