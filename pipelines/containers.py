"""Runs the DAG's steps in containers of their image by KFP's DockerRunner, against docker or podman.

    DCCLIP_IMAGE=localhost/dcclip-python:TAG dcclip run --containers

The containers have what a restricted pod on a cluster has: the image's own user, no capabilities, a file
system that is read-only but for /tmp and the folder of results. The network is the machine's, so that the
crawl reaches the demo's pictures.

KFP 2.17's own way to run a container removes it when it ends and, when it then cannot ask for its exit code,
takes that for success: against podman a failed step counted as done. `run_container` asks first.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.types import Mount
from kfp import local
from kfp.local import docker_task_handler

from components.image import IMAGE
from components.step import StepError

# Ray keeps its objects there; a container's own 64 MB are too few.
SHARED_MEMORY = "1g"


def require_image(image: str) -> None:
    """Raises StepError with what to do when no engine answers, or it does not have the image."""
    try:
        with contextlib.closing(docker.from_env()) as client:
            client.images.get(image)
    except docker.errors.ImageNotFound:
        raise StepError(
            f"there is no image {image} here; `make images` builds it and prints its name, "
            "which DCCLIP_IMAGE shall hold"
        ) from None
    except docker.errors.DockerException:
        raise StepError(
            "no container engine answers: start docker, or `podman system service` and name its socket in "
            "DOCKER_HOST=unix://…"
        ) from None


def whole_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a log that comes in pieces of any size."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def run_container(
    client: docker.DockerClient, image: str, command: list[str], volumes: dict[str, Any], **arguments: Any
) -> int:
    """Run a command to its end, printing what it prints; returns its exit code."""
    container = client.containers.run(image, command, detach=True, volumes=volumes, **arguments)
    try:
        for line in whole_lines(container.logs(stream=True)):
            print(line)
        return container.wait()["StatusCode"]
    finally:
        container.remove(force=True)


@contextlib.contextmanager
def container_runner(root: Path, pipeline_root: Path) -> Iterator[local.DockerRunner]:
    """A runner whose steps see `root`, while the context is open.

    Both folders are opened to all users: the image's user is another than the caller.

    Raises:
        StepError: there is no engine, or no image.
    """
    require_image(IMAGE)
    for folder in (root, pipeline_root):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    kfps_own = docker_task_handler.run_docker_container
    docker_task_handler.run_docker_container = run_container
    try:
        yield local.DockerRunner(
            mounts=[Mount(str(root), str(root), type="bind")],
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": "mode=1777"},
            shm_size=SHARED_MEMORY,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            environment={"no_proxy": "127.0.0.1"},
        )
    finally:
        docker_task_handler.run_docker_container = kfps_own
