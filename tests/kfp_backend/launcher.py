"""One attempt at a task under the rules of the backend's launcher: a pod without a pod.

The component's own command runs as a process with the environment that a pod would have. Its container's root
is a folder of its own: KFP's executor computes `/s3/BUCKET/…` from an address, so `python3` is a script that
puts that folder before the four mounts. Nothing else of the step differs.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0, below backend/src/v2.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_backend.addresses import BackendError, Bucket, local_path, parse_artifact
from tests.kfp_backend.blobs import Blobs
from tests.kfp_backend.driver import LOGS, Artifacts, Task, Values
from tests.kfp_backend.values import check_metrics, plain_json, read_output, record_metadata

# A process gets no longer argument (Linux, MAX_ARG_STRLEN).
MAX_ARGUMENT_BYTES = 128 * 1024
ATTEMPT_SECONDS = 600
# In a variable's text: this container's root.
CONTAINER = "{container}"
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m kfp.dsl.executor_main" ]; then shift 2; exec {python} {shim} "$@"; fi
exec {python} "$@"
"""
SHIM = """
import runpy, sys
# Processes that the step spawns read this file too.
if __name__ == "__main__":
    from kfp.dsl.types import artifact_types
    for name in ("GCS", "MINIO", "S3", "OCI"):
        name = f"_{{name}}_LOCAL_MOUNT_PREFIX"
        setattr(artifact_types, name, {root!r} + getattr(artifact_types, name))
    sys.path.pop(0)
    runpy.run_module("kfp.dsl.executor_main", run_name="__main__")
"""


@dataclass(frozen=True)
class Store:
    """Where a run's artifacts are, and by which rules."""

    blobs: Blobs
    bucket: Bucket
    whole_as_float: bool = False
    # A release after 2.17, without ML Metadata: pull request 13986 at 6585b5143d.
    newer: bool = False


@dataclass
class Attempt:
    """One pod: what it was given, and what became of it."""

    task: Task
    number: int
    root: Path
    store: Store
    environment: dict[str, str]
    parameters: Values
    inputs: Artifacts
    outputs: Artifacts
    output_parameters: list[str]
    output_file: str
    # Bytes that the launcher fetched, by input.
    downloaded: dict[str, int] = field(default_factory=dict)

    def run(self, kill_when: Callable[[], bool] | None = None) -> tuple[Values, Artifacts]:
        """The outputs (component/launcher_v2.go:178 and 405).

        Raises:
            BackendError: the launcher or the step failed, in the launcher's words.
        """
        self.outputs = {name: _copy(artifact) for name, artifact in self.outputs.items()}
        # component/launcher_v2.go:538: each attempt has logs of its own.
        self.outputs[LOGS].uri += f"-{self.number}"
        try:
            self.download()
            self.prepare_folders()
            made = self.execute(kill_when)
        except BackendError as error:
            self.upload({LOGS: self.outputs[LOGS]}, None)
            raise BackendError(f"failed to execute component: {error}") from None
        parameters = self.collect(made)
        return parameters, self.upload(self.outputs, made)

    def path(self, uri: str) -> Path:
        """An address's file in this container."""
        return self.inside(local_path(uri))

    def inside(self, path: str) -> Path:
        """A path of the container on this machine."""
        return self.root / path.lstrip("/")

    def download(self) -> None:
        """Every input artifact to its path, before the step (component/launcher_v2.go:927)."""
        if self.store.newer:
            # Unrecognised addresses are dropped there (6585b5143d, component/launcher_v2.go:1657).
            return self._download({name: it for name, it in self.inputs.items() if local_path(it.uri)})
        for name, artifact in self.inputs.items():
            self._bucket_of(name, artifact.uri)
        self._download(self.inputs)

    def _download(self, artifacts: Artifacts) -> None:
        for name, artifact in artifacts.items():
            bucket = self._bucket_of(name, artifact.uri)
            key = bucket.key_of(artifact.uri)
            files = self.store.blobs.download(bucket, key, self.path(artifact.uri))
            self.downloaded[name] = sum(file.stat().st_size for file in files)

    def _bucket_of(self, name: str, uri: str) -> Bucket:
        """The run's bucket, or another one (component/launcher_v2.go:1006)."""
        if uri.startswith(self.store.bucket.prefixed):
            return self.store.bucket
        try:
            return parse_artifact(uri)
        except BackendError as error:
            raise BackendError(
                "failed to fetch non default buckets: failed to parse bucketConfig for output artifact "
                f'"{name}" with uri "{uri}": {error}'
            ) from None

    def prepare_folders(self) -> None:
        """Folders of outputs are there before the step (component/launcher_v2.go:1280)."""
        for artifact in self.outputs.values():
            self.path(artifact.uri).parent.mkdir(parents=True, exist_ok=True)
        for folder in ("tmp/kfp/outputs", "bin"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def executor_input(self) -> str:
        """What the step's executor reads: one argument of the command."""
        inputs = {"parameterValues": self._plain(self.parameters), "artifacts": self._lists(self.inputs)}
        files = {
            name: {"outputFile": str(self.inside(f"/tmp/kfp/outputs/{name}"))}
            for name in self.output_parameters
        }
        outputs = {"parameters": files, "artifacts": self._lists(self.outputs)}
        outputs["outputFile"] = str(self.inside(self.output_file))
        return json.dumps({"inputs": inputs, "outputs": outputs}, ensure_ascii=False)

    def _plain(self, messages: dict) -> dict:
        return {name: plain_json(item, self.store.whole_as_float) for name, item in messages.items()}

    def _lists(self, artifacts: Artifacts) -> dict:
        return {name: {"artifacts": [item]} for name, item in self._plain(artifacts).items()}

    def command(self) -> list[str]:
        """The command with its placeholder filled in (component/launcher_v2.go:1051).

        Raises:
            BackendError: an argument is longer than the kernel takes.
        """
        words = [*self.task.container["command"], *self.task.container.get("args", [])]
        filled = [word.replace("{{$}}", self.executor_input()) for word in words]
        if any(len(word.encode()) > MAX_ARGUMENT_BYTES for word in filled):
            raise BackendError("fork/exec: argument list too long")
        return filled

    def execute(self, kill_when: Callable[[], bool] | None) -> pipeline_spec_pb2.ExecutorOutput:
        """The step as a process; its exit code decides (component/launcher_v2.go:657 and 1208)."""
        with self.path(self.outputs[LOGS].uri).open("wb") as log:
            process = subprocess.Popen(
                self.command(),
                env=self._environment(),
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            code = wait(process, kill_when)
        if code:
            raise BackendError(f"exit status {code}" if code > 0 else "signal: killed")
        file = self.inside(self.output_file)
        if not file.exists():
            return pipeline_spec_pb2.ExecutorOutput()
        return read_output(file.read_text(), str(file))

    def _environment(self) -> dict[str, str]:
        """The image's few variables and the pod's; nothing of this process but where Python and Java are."""
        python, shim = self.root / "bin" / "python3", self.root / "bin" / "executor.py"
        shim.write_text(SHIM.format(root=str(self.root)))
        python.write_text(PYTHON.format(python=sys.executable, shim=shim))
        python.chmod(0o755)
        path = (python.parent, Path(sys.executable).parent, os.environ["PATH"])
        image = {"PATH": ":".join(map(str, path)), "HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
        image |= {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
        pod = {"KFP_POD_NAME": f"{self.task.name}-{self.number}", "KFP_RETRY_INDEX": str(self.number)}
        own = {name: text.replace(CONTAINER, str(self.root)) for name, text in self.environment.items()}
        return image | {"TMPDIR": str(self.root / "tmp")} | pod | own

    def collect(self, made: pipeline_spec_pb2.ExecutorOutput) -> Values:
        """Output parameters; one that is missing is refused (component/launcher_v2.go:484)."""
        missing = set(self.output_parameters) - set(made.parameter_values)
        for name in sorted(missing):
            path = f"/tmp/kfp/outputs/{name}"
            raise BackendError(
                f'failed to execute component: failed to read output parameter name="{name}" path="{path}": '
                f"open {path}: no such file or directory"
            )
        return dict(made.parameter_values)

    def upload(self, artifacts: Artifacts, made: pipeline_spec_pb2.ExecutorOutput | None) -> Artifacts:
        """Outputs up to their addresses and into the metadata (component/launcher_v2.go:778)."""
        recorded = {}
        for name, artifact in artifacts.items():
            told = made.artifacts[name].artifacts if made and name in made.artifacts else []
            if told and name != LOGS:
                _merge(told[0], artifact)
            kept = self._upload_one(name, artifact)
            if kept and self.store.newer and artifact.type.schema_title == "system.Metrics":
                check_metrics(name, artifact.metadata)
            if kept:
                recorded[name] = _copy(artifact)
                recorded[name].metadata.CopyFrom(record_metadata(name, artifact.metadata))
        return recorded

    def _upload_one(self, name: str, artifact: pipeline_spec_pb2.RuntimeArtifact) -> bool:
        """Whether the artifact is recorded."""
        if local_path(artifact.uri) is None:
            # component/launcher_v2.go:813: not uploaded, and recorded all the same; dropped by newer ones
            # (6585b5143d, component/launcher_v2.go:950).
            return not self.store.newer
        file = self.path(artifact.uri)
        try:
            self.store.blobs.upload(self.store.bucket, file, self.store.bucket.key_of(artifact.uri))
        except BackendError as error:
            raise BackendError(
                f'failed to execute component: failed to upload output artifact "{name}": {error}'
            ) from None
        except FileNotFoundError:
            if self.store.newer and artifact.type.schema_title != "system.Metrics":
                # 6585b5143d, component/launcher_v2.go:958
                raise BackendError(
                    f'declared output artifact "{name}" is missing at "{local_path(artifact.uri)}"'
                ) from None
            # component/launcher_v2.go:825: a warning, and the artifact is recorded; not so logs (:828).
            return name != LOGS
        return True


def _copy(artifact: pipeline_spec_pb2.RuntimeArtifact) -> pipeline_spec_pb2.RuntimeArtifact:
    copied = pipeline_spec_pb2.RuntimeArtifact()
    copied.CopyFrom(artifact)
    return copied


def _merge(told: pipeline_spec_pb2.RuntimeArtifact, artifact: pipeline_spec_pb2.RuntimeArtifact) -> None:
    """What the step says of an artifact counts (component/launcher_v2.go:1188)."""
    artifact.uri = told.uri or artifact.uri
    for key, value in told.metadata.fields.items():
        artifact.metadata.fields[key].CopyFrom(value)


def wait(process: subprocess.Popen, kill_when: Callable[[], bool] | None) -> int:
    """The exit code; the pod goes, with all its processes, as soon as `kill_when` says so."""
    end = time.monotonic() + ATTEMPT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if kill_when and kill_when():
            break
        time.sleep(0.05)
    if process.poll() is None:
        # A container's end is the end of all its processes.
        started = psutil.Process(process.pid).children(recursive=True)
        for item in [*started, process]:
            item.kill()
        process.wait()
        psutil.wait_procs(started)
        return -9
    return process.returncode
