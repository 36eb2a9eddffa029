"""podman for the tests, with storage and settings of its own, and a base image made of Debian's packages.

Needs root on Debian, and `apt-get install podman runc mmdebstrap`. No image hub is asked: the base has the
name of the real one and another digest, which is what the tests pin.
"""

import configparser
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from infra.images.build import Settings

TOOLS = ("podman", "runc", "mmdebstrap")
BASE = "docker.io/library/python:3.11-slim-bookworm"
# Hybrid control groups and the limits of a machine without systemd.
ENGINE = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
# What a restricted pod is allowed, on this machine's network.
RESTRICTED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host")
PIP_CONF = ("/etc/pip.conf", Path.home() / ".config/pip/pip.conf")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def why_not() -> str:
    """Why images cannot be built here; empty where they can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install {' '.join(TOOLS)}"
    return "" if os.geteuid() == 0 else "these tests build images as root"


@contextlib.contextmanager
def podman() -> Iterator[dict[str, str]]:
    """An environment in which podman keeps to a folder of its own and serves Docker's API; all goes after."""
    folder = Path(tempfile.mkdtemp(prefix="dcclip-podman-"))
    (folder / "engine.conf").write_text(ENGINE)
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    environment = {**os.environ, "CONTAINERS_CONF": f"{folder}/engine.conf"}
    environment |= {"CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf", "TMPDIR": str(folder)}
    environment |= {"DOCKER_HOST": f"unix://{folder}/podman.sock"}
    try:
        with serving(folder, environment):
            yield environment
    finally:
        subprocess.run(["podman", "system", "reset", "--force"], env=environment, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Docker's API at a socket in the folder."""
    command = ["podman", "system", "service", "--time=0", environment["DOCKER_HOST"]]
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as service:
        try:
            while not (folder / "podman.sock").exists():
                assert service.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            yield
        finally:
            service.terminate()


def bootstrap_base(environment: dict[str, str]) -> str:
    """Make the base image, a minimal Debian with Python; returns its name with the digest."""
    packages = "python3,python3-pip,python3-venv,ca-certificates"
    make = ["mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
    make += [f"--include={packages}", "bookworm", "-"]
    with subprocess.Popen(make, stdout=subprocess.PIPE) as made:
        load = ["podman", "import", "--quiet", "-", BASE]
        subprocess.run(load, stdin=made.stdout, env=environment, check=True, capture_output=True)
    assert made.returncode == 0
    inspect = ["podman", "image", "inspect", "--format", "{{.Digest}}", BASE]
    digest = subprocess.run(inspect, env=environment, check=True, capture_output=True, text=True).stdout
    return f"{BASE.partition(':')[0]}@{digest.strip()}"


def settings(base: str, folder: Path) -> Settings:
    """How this machine builds: with its own package index, wheels and certificates, on its own network."""
    conf = configparser.ConfigParser()
    conf.read(PIP_CONF)
    index = conf.get("global", "index-url", fallback="")
    wheels = conf.get("global", "find-links", fallback="")
    lines = ["[global]", "cert = /run/secrets/ca", *([f"index-url = {index}"] if index else [])]
    (folder / "pip.conf").write_text("\n".join(lines))
    return Settings(
        engine="podman",
        base=base,
        pip_conf=folder / "pip.conf",
        certificates=CERTIFICATES,
        wheels=Path(wheels) if Path(wheels).is_dir() else None,
        network="host",
    )
