"""The CPU image built whole, and the smoke recipe and a Spark job in its containers: `make test-images`.

Minutes and gigabytes, so `make test` leaves it out.
"""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from infra.images.build import IMAGES, build
from infra.store import read_json
from pipelines.resolve import STEPS
from tests.podman import RESTRICTED, why_not
from tests.spark_jobs.kube_api import kubernetes_api
from tests.spark_jobs.kube_job import JOB, POD, role, small_settings

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
def image(build_settings, tmp_path_factory) -> str:
    """The built image's name, one with another jar for Spark; what the build took is printed."""
    jars = tmp_path_factory.mktemp("jars")
    with zipfile.ZipFile(jars / "extra.jar", "w") as extra:
        extra.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    start = time.monotonic()
    name = build(IMAGES["cpu"], replace(build_settings, jars=jars))
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


def test_another_jar_lies_beside_sparks_own(image):
    find = ["find", "/opt/venv", "-name", "extra.jar"]
    done = subprocess.run(
        ["podman", "run", "--rm", "--pull=never", image, *find], capture_output=True, text=True
    )
    assert done.stdout.endswith("/pyspark/jars/extra.jar\n"), done.stderr


def test_packages_in_the_image_do_not_contradict_each_other(image):
    """The image's own environment has no pip, the base below it has."""
    check = ["/usr/bin/python3", "-m", "pip", "--python", "/opt/venv/bin/python", "check"]
    command = ["podman", "run", "--rm", "--pull=never", "--read-only", image, *check]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_spark_job_has_its_driver_and_its_executors_in_containers(image, tmp_path):
    """Each executor by the image's entry point, as Spark asks for it; Kubernetes' API is the tests' own."""
    run = ["podman", "run", "--rm", "--pull=never", *RESTRICTED]

    def executor(container: dict, environment: dict[str, str]) -> list[str]:
        given = [f"--env={name}={value}" for name, value in environment.items()]
        given += [f"--tmpfs={mount['mountPath']}:mode=1777" for mount in container["volumeMounts"]]
        return [*run, *given, container["image"], *container["args"]]

    small_settings(tmp_path)
    tmp_path.chmod(0o755)
    variables = {**POD, "DCCLIP_POD_IP": "127.0.0.1", "SPARK_LOCAL_IP": "127.0.0.1", "DCCLIP_IMAGE": image}
    variables["DCCLIP_SPARK_SETTINGS"] = str(tmp_path)
    given = [f"--env={name}={value}" for name, value in variables.items()]
    with kubernetes_api("dcclip", role(), tmp_path, executor) as (url, pods):
        pods.add({"kind": "Pod", "metadata": {"name": POD["DCCLIP_POD_NAME"]}}, "Running")
        driver = [*run, *given, f"--volume={tmp_path}:{tmp_path}:ro", image, "python", "-c", JOB, url]
        done = subprocess.run(driver, capture_output=True, text=True, timeout=900)
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert done.returncode == 0, done.stderr[-3000:] + logs[-3000:]
    ran, *rest = json.loads(done.stdout)
    assert set(ran) <= {body["metadata"]["name"] for body in pods.bodies} and rest == [["m"], 4950]
