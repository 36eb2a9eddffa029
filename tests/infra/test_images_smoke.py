"""The CPU image built whole, and every step of the smoke recipe in its containers: `make test-images`.

Minutes and gigabytes, so `make test` leaves it out.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.images.build import IMAGES, build
from infra.store import read_json
from pipelines.resolve import STEPS
from tests.podman import why_not

PORT = 18768
RUN = "import sys; from pipelines.cli import main; sys.argv[0] = 'dcclip'; main()"
ASKED = os.environ.get("DCCLIP_TEST_IMAGES")

pytestmark = [
    pytest.mark.skipif(not ASKED, reason="minutes and gigabytes: make test-images"),
    pytest.mark.skipif(bool(ASKED and why_not()), reason=f"no image can be built here: {why_not()}"),
]


def show(name: str, value: float) -> None:
    """A measured figure, for whoever watches."""
    print(f"figure {name} {value:.1f}")


@pytest.fixture(scope="module")
def image(build_settings) -> str:
    """The built image's name; what the build took is printed."""
    start = time.monotonic()
    name = build(IMAGES["cpu"], build_settings)
    show("build_seconds", time.monotonic() - start)
    size = ["podman", "image", "inspect", "--format", "{{.Size}}", name]
    show("image_gb", int(subprocess.run(size, capture_output=True, check=True, text=True).stdout) / 1e9)
    return name


@pytest.fixture(scope="module")
def finished(image, tmp_path_factory) -> tuple[Path, str]:
    """(root, what it printed) of a run in containers, from nothing."""
    root = tmp_path_factory.mktemp("containers")
    command = [sys.executable, "-c", RUN, "run", "--containers", "--recipe", "smoke", "--root", str(root)]
    command += ["--set", f"corpus.port={PORT}"]
    start = time.monotonic()
    done = subprocess.run(command, env={**os.environ, "DCCLIP_IMAGE": image}, capture_output=True, text=True)
    show("smoke_seconds", time.monotonic() - start)
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done.stdout


def test_all_ten_steps_run_in_containers(finished):
    _, printed = finished
    assert [step for step in STEPS if re.search(rf"{step} +starts", printed)] == list(STEPS)
    assert float(re.search(r"^figure student_top1_zh (\S+)$", printed, re.MULTILINE).group(1)) >= 0


def test_the_images_user_made_the_results(finished):
    root, _ = finished
    records = list(root.glob("store/*/*/done.json"))
    assert {path.parent.parent.name for path in records} == set(STEPS)
    assert {path.stat().st_uid for path in records} == {65532}


def test_the_crawl_reached_every_picture(finished):
    root, _ = finished
    (record,) = (root / "store" / "filter_pairs").glob("*/done.json")
    dropped = read_json(record)["facts"]["dropped"]
    assert dropped == {"http_error": 6, "not_an_image": 6, "image_too_small": 6, "duplicate_image": 6}


def test_packages_in_the_image_do_not_contradict_each_other(image):
    """The image's own environment has no pip, the base below it has."""
    check = ["/usr/bin/python3", "-m", "pip", "--python", "/opt/venv/bin/python", "check"]
    command = ["podman", "run", "--rm", "--pull=never", "--read-only", image, *check]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
