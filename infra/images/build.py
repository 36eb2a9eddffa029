"""Builds the images of the steps with docker or podman; each is tagged by what goes into it.

    python -m infra.images.build [cpu] [cuda] [--registry registry.example/team] …    (make images)

The tag is a hash over all that a build reads: the Dockerfile, the base with its digest, the lock, the code,
extra jars. A changed line is a new tag, so no cluster runs an old image under a new name, and KFP's cache,
which knows an image by its name, cannot mistake one for the other.

Needs the standard library alone. Left out on purpose: pushing, which is the engine's own `push`.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.code_version import PACKAGES, ROOT

HERE = Path(__file__).parent
DOCKERFILE = HERE / "Dockerfile"
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
ENGINES = ("docker", "podman")


class BuildError(Exception):
    """A failure whose message tells a person what to do."""


@dataclass(frozen=True)
class Image:
    """One dependency set: a lock, and the Debian package of Java where Spark runs on it."""

    name: str
    lock: Path
    java: str = ""


# "python" in the name: KFP warns of a step's image without it.
IMAGES = {
    "cpu": Image("dcclip-python", HERE / "cpu.lock", "openjdk-17-jre-headless"),
    "cuda": Image("dcclip-python-cuda", HERE / "cuda.lock"),
}


@dataclass(frozen=True)
class Settings:
    """Where a build takes things from; none of it but `base` and `jars` has a part in the result.

    `pip_conf` and `certificates` are for the build alone and stay out of the image; `wheels` is a folder of
    packages that no index has, `jars` one of Java archives for Spark.
    """

    engine: str = ""
    registry: str = "localhost"
    base: str = ""
    pip_conf: Path | None = None
    certificates: Path | None = None
    wheels: Path | None = None
    jars: Path | None = None
    network: str = ""


def default_base() -> str:
    """The base that the Dockerfile names."""
    return re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE).group(1)


def find_engine() -> str:
    """The first of docker and podman that answers.

    Raises:
        BuildError: none does.
    """
    for engine in ENGINES:
        if shutil.which(engine) and not subprocess.run([engine, "info"], capture_output=True).returncode:
            return engine
    raise BuildError("neither docker nor podman answers here; install one (Debian: apt-get install podman)")


def project_files() -> dict[str, Path]:
    """The code as the wheel holds it, by its place in the project."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = ["*.py", *settings["package-data"]["*"]]
    found = {"pyproject.toml": ROOT / "pyproject.toml"}
    for package in PACKAGES:
        for pattern in patterns:
            for path in (ROOT / package).rglob(pattern):
                found[path.relative_to(ROOT).as_posix()] = path
    return found


def context_files(image: Image, jars: Path | None) -> dict[str, Path]:
    """All that the build may copy into the image, by its place in the context."""
    context = {f"project/{name}": path for name, path in project_files().items()}
    context |= {"Dockerfile": DOCKERFILE, "entrypoint.sh": HERE / "entrypoint.sh"}
    context |= {"requirements.lock": image.lock}
    return context | {f"jars/{path.name}": path for path in (jars.glob("*.jar") if jars else ())}


def content_tag(image: Image, base: str, jars: Path | None = None) -> str:
    """32 hex digits (128 bits) that change with whatever goes into the image.

    Raises:
        BuildError: the base is named without a digest, so that its content is not known.
    """
    if not PINNED.fullmatch(base):
        raise BuildError(f"the base {base} has no digest: give NAME@sha256:…, so that it stays what it is")
    digest = hashlib.sha256(f"{base} {image.java}\n".encode())
    for name, path in sorted(context_files(image, jars).items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def image_name(image: Image, settings: Settings) -> str:
    """The full name with the tag."""
    tag = content_tag(image, settings.base or default_base(), settings.jars)
    return f"{settings.registry}/{image.name}:{tag}"


def stage(image: Image, settings: Settings, folder: Path) -> None:
    """Write the build's context to a folder."""
    for name, path in context_files(image, settings.jars).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
    # The wheel's metadata asks for it; its text is no part of an image.
    (folder / "project" / "README.md").touch()
    (folder / "jars").mkdir(exist_ok=True)
    (folder / "wheels").mkdir()
    for wheel in settings.wheels.glob("*.whl") if settings.wheels else ():
        shutil.copy(wheel, folder / "wheels")


def build_command(image: Image, settings: Settings, folder: Path, name: str) -> list[str]:
    """The engine's command line."""
    arguments = {"BASE": settings.base or default_base(), "JAVA": image.java}
    command = [settings.engine, "build", "--tag", name]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    for secret, path in (("pip", settings.pip_conf), ("ca", settings.certificates)):
        command += ["--secret", f"id={secret},src={path}"] if path else []
    command += ["--network", settings.network] if settings.network else []
    return [*command, str(folder)]


def build(image: Image, settings: Settings) -> str:
    """Build one image, unless it is there; returns its full name.

    Raises:
        BuildError: the base is not pinned, or the build fails; the engine has said why.
    """
    settings = replace(settings, engine=settings.engine or find_engine())
    name = image_name(image, settings)
    if not subprocess.run([settings.engine, "image", "inspect", name], capture_output=True).returncode:
        return name
    with tempfile.TemporaryDirectory() as folder:
        stage(image, settings, Path(folder))
        # Docker's older builder has no secrets.
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        command = build_command(image, settings, Path(folder), name)
        if subprocess.run(command, env=environment, stdout=sys.stderr).returncode:
            raise BuildError(f"{name} could not be built; the reason is above")
    return name


def parse(arguments: Sequence[str]) -> tuple[list[str], Settings]:
    """(names of images, settings) from a command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.images.build", description=__doc__.split("\n")[0])
    parser.add_argument("images", nargs="*", help="cpu, cuda (default: both)")
    parser.add_argument("--engine", default="", choices=("", *ENGINES), help="default: what answers")
    parser.add_argument("--registry", default="localhost", help="first part of the names")
    parser.add_argument("--base", default="", help="another base, NAME@sha256:…")
    parser.add_argument("--pip-conf", type=Path, help="where packages come from; stays out of the image")
    parser.add_argument("--certificates", type=Path, help="what pip.conf may name as /run/secrets/ca")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels that no index has")
    parser.add_argument("--jars", type=Path, help="a folder of jars for Spark")
    parser.add_argument("--network", default="", help="the build's network, as the engine names it")
    options = vars(parser.parse_args(arguments))
    names = options.pop("images") or list(IMAGES)
    if unknown := set(names) - set(IMAGES):
        parser.error(f"there is no image {', '.join(sorted(unknown))}; choose from {', '.join(IMAGES)}")
    return names, Settings(**options)


def main() -> None:
    """Build, and print what a cluster's compile needs."""
    names, settings = parse(sys.argv[1:])
    try:
        built = {name: build(IMAGES[name], settings) for name in names}
    except BuildError as error:
        sys.exit(f"images: {error}")
    for name, variable in (("cpu", "DCCLIP_IMAGE"), ("cuda", "DCCLIP_CUDA_IMAGE")):
        if name in built:
            print(f"export {variable}={built[name]}")


if __name__ == "__main__":
    main()
