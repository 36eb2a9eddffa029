"""What the backend's driver decides for one task before its pod starts: inputs, outputs, environment, sizes.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0, below backend/src/v2. Left out on
purpose, because no pipeline here has them: iterations, conditions, nested DAGs, importers, the workspace, the
cache (tests/pipelines/test_full.py sees that no task asks for it).
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_backend.addresses import BackendError, local_path, output_uri
from tests.kfp_backend.values import as_value, check_type, resolve_resource

LOGS = "executor-logs"
Values = dict[str, struct_pb2.Value]
Artifacts = dict[str, pipeline_spec_pb2.RuntimeArtifact]
# Of a container's resources, those that may be a channel (driver/driver.go:363 to 447).
SIZES = ("resourceCpuRequest", "resourceCpuLimit", "resourceMemoryRequest", "resourceMemoryLimit")


@dataclass(frozen=True)
class Task:
    """One task of the DAG as it was compiled, with what Kubernetes does for its pod."""

    name: str
    spec: dict
    component: dict
    container: dict
    pod: dict

    @property
    def attempts(self) -> int:
        """How many pods it may have."""
        return 1 + int(self.spec.get("retryPolicy", {}).get("maxRetryCount", 0))


@dataclass(frozen=True)
class Cluster:
    """What the namespace has: config maps and secrets by name, and what fields of a pod say."""

    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Results:
    """The outputs of the tasks that are done, by task and name; what ML Metadata knows of the run."""

    inputs: Values
    parameters: dict[str, Values] = field(default_factory=dict)
    artifacts: dict[str, Artifacts] = field(default_factory=dict)


def tasks_of(pipeline: dict, platform: dict) -> list[Task]:
    """The tasks, each after those it needs."""
    dag = pipeline["root"]["dag"]["tasks"]
    executors = pipeline["deploymentSpec"]["executors"]
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    pods = kubernetes.get("deploymentSpec", {}).get("executors", {})
    ordered: list[Task] = []
    while len(ordered) < len(dag):
        done = {task.name for task in ordered}
        ready = [
            name
            for name in sorted(dag)
            if name not in done and done >= set(dag[name].get("dependentTasks", []))
        ]
        assert ready, "the DAG has a circle"
        for name in ready:
            component = pipeline["components"][dag[name]["componentRef"]["name"]]
            label = component["executorLabel"]
            pod = pods.get(label, {})
            ordered.append(Task(name, dag[name], component, executors[label]["container"], pod))
    return ordered


def root_inputs(pipeline: dict, given: dict[str, Any]) -> Values:
    """The run's parameters with the pipeline's defaults (driver/root_dag.go)."""
    declared = pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {name: about["defaultValue"] for name, about in declared.items() if "defaultValue" in about}
    return {name: as_value(item) for name, item in (values | given).items()}


def resolve_parameter(spec: dict, results: Results) -> struct_pb2.Value:
    """One parameter from its source (driver/resolve.go:375)."""
    if source := spec.get("taskOutputParameter"):
        return results.parameters[source["producerTask"]][source["outputParameterKey"]]
    if name := spec.get("componentInputParameter"):
        return results.inputs[name]
    constant = spec.get("runtimeValue", {}).get("constant", spec.get("constant"))
    if constant is None:
        raise BackendError(f"param runtime value spec of type {sorted(spec)} not implemented")
    return as_value(constant)


def resolve_inputs(task: Task, results: Results) -> tuple[Values, Artifacts]:
    """Parameters and artifacts of a task (driver/resolve.go:102)."""
    wanted = task.spec.get("inputs", {})
    declared = task.component.get("inputDefinitions", {}).get("parameters", {})
    values = {name: resolve_parameter(spec, results) for name, spec in wanted.get("parameters", {}).items()}
    for name, about in declared.items():
        if name in values:
            values[name] = check_type(name, about["parameterType"], values[name])
        elif not about.get("isOptional") and "defaultValue" not in about:
            raise BackendError(
                f'neither value nor default value provided for non-optional parameter "{name}"'
            )
    artifacts = {}
    for name, spec in wanted.get("artifacts", {}).items():
        source = spec["taskOutputArtifact"]
        made = results.artifacts[source["producerTask"]]
        if source["outputArtifactKey"] not in made:
            raise BackendError(f'failed to resolve inputs: artifact "{name}" of {source} is not there')
        artifacts[name] = made[source["outputArtifactKey"]]
    return values, artifacts


def provision_outputs(task: Task, root: str) -> tuple[Artifacts, list[str], str]:
    """(artifacts with new addresses, names of parameters, the executor's file) (driver/driver.go:741)."""
    declared = task.component.get("outputDefinitions", {})
    task_root = output_uri(root, task.name, str(uuid.uuid4()))
    types = {name: about["artifactType"] for name, about in declared.get("artifacts", {}).items()}
    types[LOGS] = {"schemaTitle": "system.Artifact"}
    artifacts = {
        name: pipeline_spec_pb2.RuntimeArtifact(
            name=name,
            uri=output_uri(task_root, name),
            type=pipeline_spec_pb2.ArtifactTypeSchema(schema_title=kind["schemaTitle"]),
        )
        for name, kind in types.items()
    }
    file = f"{local_path(task_root)}/output_metadata.json"
    return artifacts, list(declared.get("parameters", {})), file


def environment_of(task: Task, cluster: Cluster, results: Results) -> dict[str, str]:
    """The container's environment: its own, then secrets, config maps, fields (driver/k8s.go:347 to 535)."""
    found = {item["name"]: item["value"] for item in task.container.get("env", [])}
    for kind, there in (("secret", cluster.secrets), ("configMap", cluster.config_maps)):
        for source in task.pod.get(f"{kind}AsEnv", []):
            named = source.get(f"{kind}NameParameter")
            name = resolve_parameter(named, results).string_value if named else source[f"{kind}Name"]
            for item in source["keyToEnv"]:
                key = item[f"{kind}Key"]
                if key in there.get(name, {}):
                    found[item["envVar"]] = there[name][key]
                elif not source.get("optional"):
                    raise BackendError(f"CreateContainerConfigError: no key {key} in {kind} {name}")
    annotations = task.pod.get("podMetadata", {}).get("annotations", {})
    fields = cluster.fields | {f"metadata.annotations['{name}']": text for name, text in annotations.items()}
    return found | {item["name"]: fields[item["fieldPath"]] for item in task.pod.get("fieldPathAsEnv", [])}


def resources_of(task: Task, parameters: Values) -> dict[str, str]:
    """Sizes and accelerators as the pod gets them, channels filled in (driver/driver.go:358 to 447)."""
    wanted = task.container.get("resources", {})
    texts = {name: wanted[name] for name in SIZES if wanted.get(name)}
    accelerator = wanted.get("accelerator", {})
    texts |= {f"accelerator.{name}": text for name, text in accelerator.items() if isinstance(text, str)}
    return {name: resolve_resource(text, parameters) for name, text in texts.items()}
