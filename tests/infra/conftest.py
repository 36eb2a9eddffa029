"""A podman of the tests' own, with a base image, for tests that build and run images."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.images.build import Settings
from tests.podman import bootstrap_base, podman, settings, why_not


@pytest.fixture(scope="module")
def engine() -> Iterator[dict[str, str]]:
    """The environment in which podman and docker's clients find it."""
    if reason := why_not():
        pytest.skip(f"no image can be built here: {reason}")
    with podman() as environment, pytest.MonkeyPatch.context() as patch:
        for name in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "DOCKER_HOST"):
            patch.setenv(name, environment[name])
        yield environment


@pytest.fixture(scope="module")
def build_settings(engine, tmp_path_factory) -> Settings:
    """How images are built here: on a base of this machine's making."""
    folder: Path = tmp_path_factory.mktemp("images")
    return settings(bootstrap_base(engine), folder)
