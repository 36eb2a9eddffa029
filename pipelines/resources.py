"""Where each step runs: CPU, memory, accelerators and retries, declared once for the cluster.

The local runner ignores all of it.
"""

from dataclasses import dataclass

from kfp import dsl


@dataclass(frozen=True)
class Resources:
    """What one step's pod asks for. Engines on a cluster bring their own pods; these are the drivers'."""

    cpu: str = "2"
    memory: str = "8Gi"
    accelerators: int = 0
    num_retries: int = 2


RESOURCES = {
    "resolve-recipe": Resources(cpu="1", memory="2Gi"),
    "download-pairs": Resources(cpu="16", memory="32Gi", num_retries=5),
    "filter-pairs": Resources(cpu="4", memory="16Gi"),
    "prepare-teacher": Resources(cpu="4", memory="32Gi"),
    "embed-pairs": Resources(cpu="4", memory="16Gi", num_retries=5),
    "select-pairs": Resources(cpu="4", memory="16Gi"),
    "distill-student": Resources(cpu="4", memory="16Gi", num_retries=5),
    "align-student": Resources(cpu="4", memory="16Gi", num_retries=5),
    "evaluate-student": Resources(cpu="8", memory="32Gi"),
    "export-student": Resources(cpu="4", memory="16Gi"),
    "register-student": Resources(cpu="2", memory="8Gi"),
    "take-data": Resources(cpu="1", memory="2Gi"),
    "publish-data": Resources(cpu="1", memory="2Gi"),
}
ACCELERATOR = "nvidia.com/gpu"


def place_task(task: dsl.PipelineTask, display_name: str) -> dsl.PipelineTask:
    """Name a task for people and give it its resources."""
    wanted = RESOURCES[task.name]
    task.set_display_name(display_name)
    task.set_cpu_limit(wanted.cpu).set_memory_limit(wanted.memory)
    if wanted.accelerators:
        task.set_accelerator_type(ACCELERATOR).set_accelerator_limit(wanted.accelerators)
    return task.set_retry(wanted.num_retries, backoff_duration="30s", backoff_factor=2.0)
