"""The image that every step runs on: the project's own, so that nothing is installed at run time."""

import os
from collections.abc import Callable

from kfp import dsl

# A cluster's image is tagged by content and given at compile time; the local runner ignores it.
IMAGE = os.environ.get("DCCLIP_IMAGE", "dcclip-python:latest")


def step_component() -> Callable:
    """The decorator of a KFP face: a lightweight component on the project's image."""
    # Inside a running step KFP hides its compile-time half; nothing calls a face there.
    if not hasattr(dsl, "component"):
        return lambda function: function
    return dsl.component(base_image=IMAGE, install_kfp_package=False)
