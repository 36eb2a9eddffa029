"""Where each step runs: one table for the cluster. The local runner ignores all of it.

Engines on a cluster (Spark's executors, Ray's workers) bring their own pods, sized by infra/manifests; the
table's are the steps' own. `dcclip compile --gpu a100` makes another pipeline, whose steps have Ray in their
own pods, on the GPUs of one node: the word is what the nodes' label `dcclip/gpu` says.
"""

import os
from dataclasses import dataclass, replace

from kfp import dsl, kubernetes

from components.image import IMAGE

# Given at compile time, as the image is: Kubeflow decides on nodes before a recipe is read.
GPU = os.environ.get("DCCLIP_GPU", "")
ACCELERATOR = "nvidia.com/gpu"

# The images' own (infra/images), so that all pods can write what others wrote.
USER = 65532
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

# What infra/manifests and infra/README.md call these. A cluster without such a ConfigMap or Secret runs too.
CLAIM, DATA = "dcclip", "/mnt/dcclip"
SPARK_SETTINGS = ("dcclip-spark", "/etc/dcclip/spark")
# By ConfigMap and not as the container's own environment, which KFP's local runner would set as well.
ENVIRONMENT = ("dcclip-steps", ("DCCLIP_SCRATCH", "DCCLIP_SCRATCH_GIB", "DCCLIP_SPARK_SETTINGS", "HOME"))
S3 = ("dcclip-s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
HUB = ("dcclip-hub", ("HF_TOKEN",))
FIELDS = {
    "DCCLIP_POD_IP": "status.podIP",
    "DCCLIP_POD_NAME": "metadata.name",
    "DCCLIP_NAMESPACE": "metadata.namespace",
    # Its Spark executors run that.
    "DCCLIP_IMAGE": "metadata.annotations['dcclip/image']",
}


@dataclass(frozen=True)
class Resources:
    """What one step's pod asks for.

    `gpus` are asked for where the pipeline is compiled for a kind of GPU, and none elsewhere. A pod of which
    `max_hours` have passed is stopped and counts as failed; the next attempt goes on where it was. Only a
    step with `internet` reaches it, and none of our services then (infra/manifests/base/network.yaml).
    """

    cpu: str = "4"
    memory: str = "16Gi"
    gpus: int = 0
    num_retries: int = 2
    max_hours: float = 6.0
    internet: bool = False
    secrets: tuple[tuple[str, tuple[str, ...]], ...] = (S3,)


RESOURCES = {
    "resolve-recipe": Resources(cpu="1", memory="2Gi", max_hours=1.0),
    "download-pairs": Resources(cpu="16", memory="32Gi", num_retries=5, max_hours=240.0, internet=True),
    "filter-pairs": Resources(max_hours=48.0),
    "prepare-teacher": Resources(memory="32Gi", internet=True, secrets=(S3, HUB)),
    "embed-pairs": Resources(gpus=8, num_retries=5, max_hours=240.0),
    "select-pairs": Resources(max_hours=48.0),
    "distill-student": Resources(gpus=8, num_retries=5, max_hours=240.0),
    "align-student": Resources(gpus=8, num_retries=5, max_hours=240.0),
    "evaluate-student": Resources(cpu="8", memory="32Gi", gpus=1, max_hours=24.0),
    "export-student": Resources(),
    "register-student": Resources(cpu="2", memory="8Gi", max_hours=1.0),
    "take-data": Resources(cpu="1", memory="2Gi", max_hours=1.0),
    "publish-data": Resources(cpu="1", memory="2Gi", max_hours=1.0),
}
# Beside each GPU: a dozen threads that make pictures ready, and room for their batches.
CPUS_PER_GPU, GIB_PER_GPU = 12, 64


def on_gpus(wanted: Resources, gpu: str) -> Resources:
    """The resources for a pipeline that is compiled for a kind of GPU, or for none."""
    if not gpu or not wanted.gpus:
        return replace(wanted, gpus=0)
    cpu, memory = wanted.gpus * CPUS_PER_GPU, wanted.gpus * GIB_PER_GPU
    return replace(wanted, cpu=str(cpu), memory=f"{memory}Gi")


def place_task(task: dsl.PipelineTask, display_name: str) -> dsl.PipelineTask:
    """Name a task for people and say where it runs."""
    wanted = on_gpus(RESOURCES[task.name], GPU)
    task.set_display_name(display_name)
    task.set_cpu_request(wanted.cpu).set_memory_request(wanted.memory)
    task.set_cpu_limit(wanted.cpu).set_memory_limit(wanted.memory)
    if wanted.gpus:
        _put_on_gpus(task, wanted.gpus)
    _put_into_the_cluster(task, wanted)
    # KFP's cache never looks whether a result is still there; a step does, and is quick where it is.
    task.set_caching_options(False)
    return task.set_retry(wanted.num_retries, backoff_duration="30s", backoff_factor=2.0)


def _put_on_gpus(task: dsl.PipelineTask, gpus: int) -> None:
    task.set_accelerator_type(ACCELERATOR).set_accelerator_limit(gpus)
    kubernetes.add_node_selector(task, "dcclip/gpu", GPU)
    kubernetes.add_toleration(task, key=ACCELERATOR, operator="Exists", effect="NoSchedule")


def _put_into_the_cluster(task: dsl.PipelineTask, wanted: Resources) -> None:
    """Labels for the network policies, time, what is mounted, what is in the environment."""
    labels = {"app.kubernetes.io/part-of": "dcclip", "dcclip/role": "step"}
    labels["dcclip/network"] = "internet" if wanted.internet else "cluster"
    for name, value in labels.items():
        kubernetes.add_pod_label(task, name, value)
    for name, value in {"dcclip/image": IMAGE, SAFE_TO_EVICT: "false"}.items():
        kubernetes.add_pod_annotation(task, name, value)
    kubernetes.set_timeout(task, round(wanted.max_hours * 3600))
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=DATA)
    # Ray's objects and what torch's workers hand each other: 64 MiB otherwise.
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory")
    kubernetes.use_config_map_as_volume(task, *SPARK_SETTINGS, optional=True)
    name, keys = ENVIRONMENT
    kubernetes.use_config_map_as_env(task, name, {key: key for key in keys}, optional=True)
    for secret, keys in wanted.secrets:
        kubernetes.use_secret_as_env(task, secret, {key: key for key in keys}, optional=True)
    for name, path in FIELDS.items():
        kubernetes.use_field_path_as_env(task, name, path)
