"""An image built for real, as small as a step allows, and a run in its containers that must fail at step 1.

The whole (all packages, all steps) is `make test-images`. Skipped with its reason where podman is missing.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.code_version import code_version
from infra.images.build import build
from tests.podman import RESTRICTED
from tests.small_image import small_image

PORT = 18767
RUN = "import sys; from pipelines.cli import main; sys.argv[0] = 'dcclip'; main()"


@pytest.fixture(scope="module")
def image(build_settings, tmp_path_factory) -> str:
    """The built image's name."""
    return build(small_image(tmp_path_factory.mktemp("small")), build_settings)


def in_container(image: str, script: str) -> str:
    """What a shell script prints in a container as bounded as a restricted pod."""
    command = ["podman", "run", "--rm", "--pull=never", *RESTRICTED, image, "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_container_runs_without_rights_and_writes_to_tmp_alone(image):
    script = "id -u; for f in /tmp /opt /etc /opt/dcclip; do touch $f/a 2> /dev/null && echo $f; done; true"
    assert in_container(image, script).split() == ["65532", "/tmp"]


def test_no_compiler_no_pip_and_no_way_to_other_rights_is_left(image):
    script = "for tool in gcc cc g++ ld make; do command -v $tool; done; ls /opt/venv/bin | grep -x pip; "
    assert in_container(image, script + "find / -xdev -perm /6000 -type f 2> /dev/null || true") == ""


def test_what_the_build_alone_needed_is_not_in_the_image(image, build_settings):
    assert in_container(image, "cat /run/secrets/* /wheels/* /src/* /etc/pip.conf 2> /dev/null || true") == ""
    history = ["podman", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image]
    said = subprocess.run(history, capture_output=True, text=True, check=True).stdout
    addresses = [line.split("= ")[1] for line in build_settings.pip_conf.read_text().splitlines()[2:]]
    assert said and not [address for address in addresses if address in said]


def test_a_containers_code_is_this_code(image):
    step = "components.filter_pairs"
    script = f"from infra.code_version import code_version; print(code_version('{step}'))"
    assert in_container(image, f'python3 -c "{script}"').strip() == code_version(step)


def test_an_image_that_is_there_is_not_built_again(image, build_settings, tmp_path, capfd):
    assert build(small_image(tmp_path), build_settings) == image
    assert "STEP" not in "".join(capfd.readouterr())


def test_a_step_runs_in_a_container_and_one_that_fails_is_a_failure(image, tmp_path):
    """img2dataset is not in this image: the resolver succeeds, and the next step cannot."""
    command = [sys.executable, "-c", RUN, "run", "--containers", "--recipe", "smoke", "--root", str(tmp_path)]
    command += ["--set", f"corpus.port={PORT}"]
    environment = {**os.environ, "DCCLIP_IMAGE": image}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    (log,) = Path(tmp_path).glob("runs/*/run.log")
    log = log.read_text()
    assert done.returncode == 1, log
    assert "the run stopped" in done.stderr and "download_pairs   failed: ModuleNotFoundError" in done.stdout
    assert "'resolve-recipe'\x1b[0m finished with status \x1b[92mSUCCESS" in log
    assert "'download-pairs'\x1b[0m finished with status \x1b[91mFAILURE" in log
    left = subprocess.run(["podman", "ps", "--all", "--quiet"], capture_output=True, text=True, check=True)
    assert left.stdout == ""
