"""Where each step runs on a cluster: one table for what is the same for every recipe, and how a pod gets it.

Sizes and nodes are the recipe's (pipelines/sizes.py). The resolver puts them out and each task takes its own,
so that one compiled file serves every recipe. Engines on a cluster (Spark's executors, Ray's workers) bring
their own pods, sized by infra/manifests. The local runner ignores all of it.

How Kubeflow's driver reads these outputs (kubeflow/pipelines 2.17.0, backend/src/v2/driver):
- CPU and memory: driver.go:173 getPodResource; an empty text is an error of ParseQuantity, so there is none.
- Both are looked up among the task's inputs by resolve.go:818 resolvePodSpecInputRuntimeParameter, which
  takes GetStringValue, and that is empty for a number. So these outputs are texts, the count of GPUs too.
- Accelerators: driver.go:440 asks for none unless both kind and count are there; an empty kind is none.
- Node selector: k8s.go:199, by resolveK8sJsonParameter; `{}` becomes an empty map, which the pod leaves out.
- Tolerations: k8s.go:232; an empty list is passed over (k8s.go:276).
"""

from dataclasses import dataclass

from kfp import dsl, kubernetes

from components.image import IMAGE
from pipelines.sizes import POD_FIELDS

# The images' own (infra/images), so that all pods can write what others wrote.
USER = 65532
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

# What infra/manifests and infra/README.md call these. A cluster without such a ConfigMap or Secret runs too.
CLAIM, DATA = "dcclip", "/mnt/dcclip"
SPARK_SETTINGS = ("dcclip-spark", "/etc/dcclip/spark")
# By ConfigMap and not as the container's own environment, which KFP's local runner would set as well.
ENVIRONMENT = ("dcclip-steps", ("DCCLIP_SCRATCH", "DCCLIP_SCRATCH_GIB", "DCCLIP_SPARK_SETTINGS", "HOME"))
# How the bucket's server is spoken to, as boto3 reads it; keys are the secret's alone.
S3_SETTINGS = (
    "dcclip-s3-settings",
    (
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
    ),
)
S3 = ("dcclip-s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
HUB = ("dcclip-hub", ("HF_TOKEN",))
FIELDS = {
    "DCCLIP_POD_IP": "status.podIP",
    "DCCLIP_POD_NAME": "metadata.name",
    "DCCLIP_NAMESPACE": "metadata.namespace",
    # Its Spark executors run that.
    "DCCLIP_IMAGE": "metadata.annotations['dcclip/image']",
}
BACKOFF_SECONDS, BACKOFF_FACTOR = 30, 2.0


@dataclass(frozen=True)
class Placement:
    """How a step's pod is treated, whatever its size.

    A pod of which `max_hours` have passed is stopped and counts as failed; the next attempt goes on where it
    was. Only a step with `internet` reaches it, and none of our services then
    (infra/manifests/base/network.yaml).
    """

    num_retries: int = 2
    max_hours: float = 6.0
    internet: bool = False
    secrets: tuple[tuple[str, tuple[str, ...]], ...] = (S3,)

    @property
    def max_retry_seconds(self) -> int:
        """How long all attempts and the pauses between them may take.

        Argo counts it from the start of the first attempt (argo-workflows v4.0.5,
        workflow/controller/operator.go:1037), and KFP's default of an hour would end the retries of a longer
        step.
        """
        pauses = sum(BACKOFF_SECONDS * BACKOFF_FACTOR**number for number in range(self.num_retries))
        return round(self.max_hours * 3600) * (self.num_retries + 1) + round(pauses)


PLACEMENTS = {
    "resolve-recipe": Placement(max_hours=1.0),
    "download-pairs": Placement(num_retries=5, max_hours=240.0, internet=True),
    "filter-pairs": Placement(max_hours=48.0),
    "prepare-teacher": Placement(internet=True, secrets=(S3, HUB)),
    "embed-pairs": Placement(num_retries=5, max_hours=240.0),
    "select-pairs": Placement(max_hours=48.0),
    "distill-student": Placement(num_retries=5, max_hours=240.0),
    "align-student": Placement(num_retries=5, max_hours=240.0),
    "evaluate-student": Placement(max_hours=24.0),
    "export-student": Placement(),
    "register-student": Placement(max_hours=1.0),
    "take-data": Placement(max_hours=1.0),
    "publish-data": Placement(max_hours=1.0),
}
# The resolver's own pod, which no recipe can size.
RESOLVER = {"cpu": "250m", "cpu_limit": "2", "memory": "1Gi", "memory_limit": "3Gi"}


def place_resolver(task: dsl.PipelineTask, display_name: str) -> dsl.PipelineTask:
    """Name the resolver's task for people and say where it runs."""
    _set_sizes(task, RESOLVER)
    return _place(task, display_name)


def place_task(configs: dsl.PipelineTask, task: dsl.PipelineTask, display_name: str) -> dsl.PipelineTask:
    """Name a task for people and say where it runs; its size is among the outputs of the resolver's task."""
    step = task.name.replace("-", "_")
    pod = {name: configs.outputs[f"{step}_{name}"] for name in POD_FIELDS}
    _set_sizes(task, pod)
    task.set_accelerator_type(pod["accelerator"]).set_accelerator_limit(pod["gpus"])
    kubernetes.add_node_selector_json(task, pod["node_selector"])
    kubernetes.add_toleration_json(task, pod["tolerations"])
    return _place(task, display_name)


def _set_sizes(task: dsl.PipelineTask, pod: dict) -> None:
    """CPU and memory, as texts or as channels of them."""
    task.set_cpu_request(pod["cpu"]).set_memory_request(pod["memory"])
    task.set_cpu_limit(pod["cpu_limit"]).set_memory_limit(pod["memory_limit"])


def _place(task: dsl.PipelineTask, display_name: str) -> dsl.PipelineTask:
    wanted = PLACEMENTS[task.name]
    task.set_display_name(display_name)
    _put_into_the_cluster(task, wanted)
    # KFP's cache never looks whether a result is still there; a step does, and is quick where it is.
    task.set_caching_options(False)
    return task.set_retry(
        wanted.num_retries, f"{BACKOFF_SECONDS}s", BACKOFF_FACTOR, f"{wanted.max_retry_seconds}s"
    )


def _put_into_the_cluster(task: dsl.PipelineTask, wanted: Placement) -> None:
    """Labels for the network policies, time, what is mounted, what is in the environment."""
    labels = {"app.kubernetes.io/part-of": "dcclip", "dcclip/role": "step"}
    labels["dcclip/network"] = "internet" if wanted.internet else "cluster"
    for name, value in labels.items():
        kubernetes.add_pod_label(task, name, value)
    for name, value in {"dcclip/image": IMAGE, SAFE_TO_EVICT: "false"}.items():
        kubernetes.add_pod_annotation(task, name, value)
    kubernetes.set_timeout(task, round(wanted.max_hours * 3600))
    # An image that was loaded into the node by hand is not asked for elsewhere, whatever its tag.
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=DATA)
    # Ray's objects and what torch's workers hand each other: 64 MiB otherwise.
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory")
    kubernetes.use_config_map_as_volume(task, *SPARK_SETTINGS, optional=True)
    for name, keys in (ENVIRONMENT, S3_SETTINGS):
        kubernetes.use_config_map_as_env(task, name, {key: key for key in keys}, optional=True)
    for secret, keys in wanted.secrets:
        kubernetes.use_secret_as_env(task, secret, {key: key for key in keys}, optional=True)
    for name, path in FIELDS.items():
        kubernetes.use_field_path_as_env(task, name, path)
