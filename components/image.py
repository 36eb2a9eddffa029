"""The images that steps run on: the project's own, so that nothing is installed at run time.

`make images` builds them, tags them by content and prints the two variables; they are read at compile time,
and the local runner ignores them.
"""

import os
from collections.abc import Callable

from kfp import dsl

IMAGE = os.environ.get("DCCLIP_IMAGE", "dcclip-python:latest")
# With CUDA's libraries; without one named, the steps below run on the other.
CUDA_IMAGE = os.environ.get("DCCLIP_CUDA_IMAGE") or IMAGE
# What computes with torch in its own pod, on a GPU where that has one. Spark and img2dataset need none.
ACCELERATED = frozenset(
    {"prepare_teacher", "embed_pairs", "distill_student", "align_student", "evaluate_student"}
)


def step_component() -> Callable:
    """The decorator of a KFP face: a lightweight component on the project's image."""
    # Inside a running step KFP hides its compile-time half; nothing calls a face there.
    if not hasattr(dsl, "component"):
        return lambda function: function

    def face(function: Callable) -> Callable:
        image = CUDA_IMAGE if function.__name__ in ACCELERATED else IMAGE
        return dsl.component(base_image=image, install_kfp_package=False)(function)

    return face
