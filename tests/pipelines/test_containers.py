"""Steps in containers: a failure is a failure, lines stay whole, and a missing engine or image has advice.

The engine is a stand-in; tests/infra/test_images_podman.py has the real one.
"""

from contextlib import contextmanager, nullcontext

import docker
import pytest
from kfp.local import docker_task_handler

from components.image import IMAGE
from components.step import StepError
from pipelines.containers import container_runner, require_image, run_container, whole_lines
from pipelines.local import run_locally


class Container:
    """One that has ended, and answers until it is removed."""

    def __init__(self, exit_code: int):
        self.exit_code, self.removed = exit_code, False

    def logs(self, stream: bool):
        yield from (b"[filter_pairs] k", "ept 3 猫".encode()[:-1], "猫".encode()[-1:] + b"\n", b"end")

    def wait(self):
        if self.removed:
            raise docker.errors.NotFound("no such container")
        return {"StatusCode": self.exit_code}

    def remove(self, force: bool):
        self.removed = True


class Engine:
    """A docker client that has one image and runs one container."""

    def __init__(self, container: Container | None = None, image: str = IMAGE):
        self.container, self.image, self.arguments = container, image, {}
        self.containers = self.images = self

    def run(self, image: str, command: list[str], **arguments):
        self.arguments = arguments
        # Whoever asks for it loses the container, as soon as it has ended.
        self.container.removed = arguments.get("auto_remove", False)
        return self.container

    def get(self, image: str):
        if image != self.image:
            raise docker.errors.ImageNotFound("no such image")

    def close(self):
        pass


@pytest.mark.parametrize("exit_code", [0, 1, 137])
def test_a_containers_exit_code_is_the_steps(exit_code, capsys):
    engine = Engine(Container(exit_code))
    assert run_container(engine, "image", ["true"], {"/a": {}}, read_only=True) == exit_code
    assert engine.container.removed
    assert engine.arguments == {"detach": True, "volumes": {"/a": {}}, "read_only": True}
    assert capsys.readouterr().out == "[filter_pairs] kept 3 猫\nend\n"


def test_an_interrupted_run_leaves_no_container():
    engine = Engine(Container(0))
    engine.container.logs = interrupted
    with pytest.raises(KeyboardInterrupt):
        run_container(engine, "image", ["sleep"], {})
    assert engine.container.removed


def interrupted(stream: bool):
    """A log in whose midst Ctrl-C is pressed."""
    yield b"starts\n"
    raise KeyboardInterrupt


@pytest.mark.parametrize("chunks", [[], [b"a\nb\n"], [b"a", b"\n", b"b\n"], [b"a\nb"]])
def test_lines_are_whole_however_they_come(chunks):
    assert list(whole_lines(chunks)) == (["a", "b"] if chunks else [])


def test_an_image_that_is_not_there_is_named_with_advice(monkeypatch):
    monkeypatch.setattr(docker, "from_env", lambda: Engine(image="another"))
    with pytest.raises(StepError, match=f"there is no image {IMAGE} here; `make images` builds it"):
        require_image(IMAGE)


def test_without_an_engine_the_advice_is_to_start_one(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(StepError, match="no container engine answers: start docker"):
        require_image(IMAGE)


def test_kfps_own_way_comes_back_when_the_run_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(docker, "from_env", Engine)
    before = docker_task_handler.run_docker_container
    with container_runner(tmp_path / "root", tmp_path / "kfp") as runner:
        assert docker_task_handler.run_docker_container is run_container
        assert runner.container_run_args["read_only"] and runner.container_run_args["cap_drop"] == ["ALL"]
    assert docker_task_handler.run_docker_container is before
    assert (tmp_path / "root").stat().st_mode & 0o777 == 0o777


def test_containers_need_a_folder():
    with pytest.raises(StepError, match="containers share a folder of this machine"):
        run_locally("smoke", {}, "s3://bucket/runs", in_containers=True)


def test_a_run_in_containers_shares_its_root_with_them(monkeypatch, tmp_path):
    asked = []

    @contextmanager
    def stop(root, pipeline_root):
        asked.append((root, pipeline_root.parent.parent))
        raise StepError("stopped here")
        yield

    monkeypatch.setattr("pipelines.local.container_runner", stop)
    # At its end a run stops all that its process has started: here the engines of other tests.
    monkeypatch.setattr("pipelines.local.nothing_left_running", nullcontext)
    with pytest.raises(StepError, match="stopped here"):
        run_locally("full", {}, str(tmp_path), in_containers=True)
    assert asked == [(tmp_path, tmp_path / "runs")]
