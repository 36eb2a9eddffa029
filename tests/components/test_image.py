"""Which image a step is compiled for: one for all, or another for what computes on an accelerator."""

import os
import re
import subprocess
import sys

from components.image import ACCELERATED
from pipelines.resolve import STEPS

CPU, CUDA = "registry.example/dcclip-python:0123456789ab", "registry.example/dcclip-python-cuda:ba9876543210"
# A process of its own: the images are read when the steps are imported.
COMPILE = """
import json
from pipelines.full import PIPELINES
executors = PIPELINES["dcclip-full"].pipeline_spec.deployment_spec["executors"]
print(json.dumps({name: executor["container"]["image"] for name, executor in executors.items()}))
"""


def images(**variables: str) -> dict[str, str]:
    """The image of each step, with these variables set."""
    rest = {key: value for key, value in os.environ.items() if not key.startswith("DCCLIP_")}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env={**rest, **variables}, check=True, capture_output=True, text=True
    )
    found = re.findall(r'"exec-([\w-]+)": "([^"]+)"', done.stdout)
    return {name.replace("-", "_"): image for name, image in found}


def test_what_computes_on_an_accelerator_has_its_own_image():
    found = images(DCCLIP_IMAGE=CPU, DCCLIP_CUDA_IMAGE=CUDA)
    assert {name for name, image in found.items() if image == CUDA} == ACCELERATED
    others = {"resolve_recipe", "publish_data", *STEPS} - ACCELERATED
    assert {name for name, image in found.items() if image == CPU} == others


def test_without_one_for_accelerators_all_steps_share_an_image():
    assert set(images(DCCLIP_IMAGE=CPU).values()) == {CPU}
