"""How large each step's pod is, and on which nodes: a part of the recipe, and of no result's identity.

The resolver hands them to the pods (components/resolve_recipe.py, pipelines/resources.py), so one compiled
pipeline serves a laptop-sized cluster and `full`. A value is overridden as any of the recipe's:
`resources.distill_student.memory=64Gi`. The local runner ignores all of it.
"""

import re
from dataclasses import dataclass, field, fields

ACCELERATOR = "nvidia.com/gpu"
GPU_LABEL = "dcclip/gpu"
# Nodes with GPUs keep pods out that want none.
GPU_TOLERATION = {"key": ACCELERATOR, "operator": "Exists", "effect": "NoSchedule"}
# What a pod has where its recipe says nothing; beside each GPU a dozen threads that make images ready, and
# room for their batches.
USUAL_CPU, USUAL_GIB = 4.0, 16
CPUS_PER_GPU, GIB_PER_GPU = 12, 64

LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(" + "|".join(UNITS) + ")")
MIN_BYTES = 64 * 2**20


def memory_bytes(text: str) -> float:
    """A Kubernetes quantity of memory, `64Gi`, in bytes.

    Raises:
        ValueError: it is none, or too little for any step.
    """
    found = QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount of memory; write 512Mi, 16Gi or 1.5Ti")
    num_bytes = float(found[1]) * UNITS[found[2]]
    if num_bytes < MIN_BYTES:
        raise ValueError(f"{text!r} is {num_bytes:g} bytes, too little for a step; write 512Mi or 16Gi")
    return num_bytes


@dataclass(frozen=True)
class PodSize:
    """What a step's pod asks for, in CPUs and Kubernetes quantities of memory.

    0 or "" stands for the limit, and without one for what is usual: 4 CPUs and 16Gi, or 12 CPUs and 64Gi for
    each GPU. A limit is never below what is asked for, which it is where none is given. `gpus` are asked for
    where the recipe names a kind of GPU (`gpu`), and none elsewhere. `node_selector` and `tolerations` come
    beside those for GPUs, as Kubernetes writes them.

    Raises:
        ValueError: a number is negative, or a quantity is none.
    """

    cpu: float = 0.0
    memory: str = ""
    cpu_limit: float = 0.0
    memory_limit: str = ""
    gpus: int = 0
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[dict, ...] = ()

    def __post_init__(self):
        for name in ("cpu", "cpu_limit", "gpus"):
            value = getattr(self, name)
            if not 0 <= value < 10_000:
                raise ValueError(f"{name}={value:g} of a pod should be a number from 0 to 9999")
        for text in filter(None, (self.memory, self.memory_limit)):
            memory_bytes(text)
        if not all(isinstance(value, str) for value in self.node_selector.values()):
            raise ValueError('node_selector holds labels, {"disk": "ssd"}')
        if not all(isinstance(item, dict) for item in self.tolerations):
            raise ValueError('tolerations are written [{"key": "spot", "operator": "Exists"}]')


@dataclass(frozen=True)
class Resources:
    """The size of each step's pod; the defaults are those of `full`."""

    download_pairs: PodSize = PodSize(cpu=16.0, memory="32Gi")
    filter_pairs: PodSize = PodSize()
    prepare_teacher: PodSize = PodSize(memory="32Gi")
    embed_pairs: PodSize = PodSize(gpus=8)
    select_pairs: PodSize = PodSize()
    distill_student: PodSize = PodSize(gpus=8)
    align_student: PodSize = PodSize(gpus=8)
    evaluate_student: PodSize = PodSize(cpu=8.0, memory="32Gi", gpus=1)
    export_student: PodSize = PodSize()
    register_student: PodSize = PodSize(cpu=2.0, memory="8Gi")
    take_data: PodSize = PodSize(cpu=1.0, memory="2Gi")
    publish_data: PodSize = PodSize(cpu=1.0, memory="2Gi")


def same_for_all(size: PodSize) -> Resources:
    """Each step as large as the others."""
    return Resources(**{step.name: size for step in fields(Resources)})


# Beside Kubeflow, MLflow and a small Ray head on one node of 4 CPUs and 16 GiB: a step is sure of one CPU and
# may use all that idle. The largest step of the demo takes 4.9 GB (README.md).
SMALL_PODS = same_for_all(PodSize(cpu=1.0, memory="3Gi", cpu_limit=4.0, memory_limit="8Gi"))
STEPS = tuple(step.name for step in fields(Resources))


def check_gpu(gpu: str, resources: Resources) -> None:
    """Raises ValueError where a kind of GPU is named that is no label's value, or that no step asks for."""
    if gpu and not LABEL.fullmatch(gpu):
        raise ValueError(f"gpu={gpu!r} is no value of a node's label {GPU_LABEL}; write a100")
    if gpu and not any(getattr(resources, step).gpus for step in STEPS):
        raise ValueError(
            f"gpu={gpu!r}, but no step asks for GPUs: say how many, resources.distill_student.gpus=1"
        )


def pod_of(size: PodSize, gpu: str) -> dict:
    """What one pod is given, by the names in POD_FIELDS.

    All but the last two are texts, since Kubeflow's driver takes a number for nothing; without GPUs the
    accelerator is empty, which it passes over (pipelines/resources.py).
    """
    gpus = size.gpus if gpu else 0
    cpu = size.cpu or size.cpu_limit or CPUS_PER_GPU * gpus or USUAL_CPU
    memory = size.memory or size.memory_limit or f"{GIB_PER_GPU * gpus or USUAL_GIB}Gi"
    return {
        "cpu": f"{cpu:g}",
        "cpu_limit": f"{max(cpu, size.cpu_limit):g}",
        "memory": memory,
        "memory_limit": max(memory, size.memory_limit or memory, key=memory_bytes),
        "accelerator": ACCELERATOR if gpus else "",
        "gpus": str(gpus),
        "node_selector": ({GPU_LABEL: gpu} if gpus else {}) | size.node_selector,
        "tolerations": ([GPU_TOLERATION] if gpus else []) + list(size.tolerations),
    }


POD_FIELDS = tuple(pod_of(PodSize(), ""))


def pod_outputs(resources: Resources, gpu: str) -> list:
    """All pods' fields in the order of the resolver's outputs: step by step, POD_FIELDS in each."""
    return [value for step in STEPS for value in pod_of(getattr(resources, step), gpu).values()]
