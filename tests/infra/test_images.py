"""How images are named, staged and built, without an engine; their entry point, with a stand-in for Java."""

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.code_version import PACKAGES, ROOT
from infra.images import build as images
from infra.images.build import IMAGES, BuildError, Settings, content_tag, default_base
from spark_jobs.executor import java_command

BASE = "registry.example/python:3@sha256:" + "0" * 64
ENTRYPOINT = Path(images.__file__).with_name("entrypoint.sh")


@pytest.fixture
def image(tmp_path) -> images.Image:
    """An image with a lock of its own."""
    lock = tmp_path / "small.lock"
    lock.write_text("six==1.17.0 --hash=sha256:00\n")
    return images.Image("dcclip-python-small", lock)


def test_the_base_is_pinned_by_its_digest():
    assert images.PINNED.fullmatch(default_base())


def test_a_base_without_a_digest_is_refused(image):
    with pytest.raises(BuildError, match="python:3.11 has no digest"):
        content_tag(image, "registry.example/python:3.11")


def test_a_tag_stays_while_nothing_changes(image):
    assert content_tag(image, BASE) == content_tag(image, BASE)
    assert len(content_tag(image, BASE)) == 32


def test_a_tag_changes_with_the_base_the_lock_java_and_jars(image, tmp_path):
    tags = {content_tag(image, BASE), content_tag(image, BASE[:-1] + "1")}
    tags.add(content_tag(replace(image, java="openjdk-17-jre-headless"), BASE))
    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / "hadoop-aws.jar").write_bytes(b"jar")
    tags.add(content_tag(image, BASE, jars))
    image.lock.write_text("six==1.17.0 --hash=sha256:01\n")
    tags.add(content_tag(image, BASE))
    assert len(tags) == 5


def test_a_tag_changes_with_a_line_of_code(image, tmp_path, monkeypatch):
    before = content_tag(image, BASE)
    code = tmp_path / "changed.py"
    code.write_text("# changed\n")
    monkeypatch.setattr(images, "project_files", lambda: {"infra/store.py": code})
    assert content_tag(image, BASE) != before


def test_the_context_holds_the_code_and_nothing_else_of_the_project(image, tmp_path):
    images.stage(image, Settings(base=BASE), tmp_path / "context")
    project = tmp_path / "context" / "project"
    files = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    assert {path.parts[0] for path in files} == {*PACKAGES, "pyproject.toml", "README.md"}
    assert Path("training/reporting/page.html") in files and Path("spark_jobs/log4j2.properties") in files
    assert not [path for path in files if path.suffix in (".pyc", ".md") and path.parent != Path()]
    assert (project / "README.md").read_text() == ""
    assert (tmp_path / "context" / "requirements.lock").read_text() == image.lock.read_text()


def test_every_file_the_steps_name_is_in_the_context():
    """A step's code version hashes them: a file left out would be one more difference to a cluster."""
    from infra.code_version import files_used

    used = {path.relative_to(ROOT).as_posix() for path in files_used("components.resolve_recipe")}
    left_out = used - set(images.project_files())
    assert {name for name in left_out if not name.endswith("README.md")} == set()


def test_what_a_build_needs_only_itself_is_no_argument(image, tmp_path):
    wanted = Settings("podman", base=BASE, pip_conf=tmp_path / "pip.conf", certificates=tmp_path / "ca.crt")
    command = images.build_command(image, wanted, tmp_path, "registry.example/a:b")
    assert command[:4] == ["podman", "build", "--tag", "registry.example/a:b"]
    assert f"id=pip,src={tmp_path}/pip.conf" in command and f"id=ca,src={tmp_path}/ca.crt" in command
    arguments = [command[at + 1] for at, part in enumerate(command) if part == "--build-arg"]
    assert arguments == [f"BASE={BASE}", "JAVA="]


def test_without_an_engine_the_reason_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="neither docker nor podman"):
        images.find_engine()


def engine(folder: Path, name: str, answer: int) -> None:
    """An executable that only answers."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {answer}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_docker_without_its_daemon_is_passed_over(monkeypatch, tmp_path):
    engine(tmp_path, "docker", 1)
    engine(tmp_path, "podman", 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert images.find_engine() == "podman"


@pytest.mark.parametrize("name", ["gpu", "CPU"])
def test_an_unknown_image_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        images.parse([name])
    assert "there is no image" in capsys.readouterr().err


def test_both_images_are_built_unless_one_is_named():
    assert images.parse([])[0] == ["cpu", "cuda"]
    assert (
        images.parse(["cuda", "--registry", "registry.example/team"])[1].registry == "registry.example/team"
    )


def test_names_have_registry_and_tag(image):
    name = images.image_name(image, Settings(registry="registry.example/team", base=BASE))
    assert name == f"registry.example/team/dcclip-python-small:{content_tag(image, BASE)}"


def test_both_images_have_locks_and_only_one_has_java():
    assert all(item.lock.exists() for item in IMAGES.values())
    assert [bool(IMAGES[name].java) for name in ("cpu", "cuda")] == [True, False]


def test_the_dockerfile_ends_as_a_user_without_rights():
    *_, user, last = images.DOCKERFILE.read_text().splitlines()
    assert user == "USER 65532:65532" and last.startswith("ENTRYPOINT")


def test_the_entry_point_runs_what_it_is_given():
    done = subprocess.run([ENTRYPOINT, "sh", "-c", "echo $0; exit 3", "a b"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "a b\n")


def test_the_entry_point_becomes_a_spark_executor(tmp_path):
    """Java's arguments are spark_jobs/executor.py's, and that module's tests look at them one by one."""
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    spark = {"DRIVER_URL": "spark://driver:7078", "EXECUTOR_ID": "3", "EXECUTOR_CORES": "4"}
    spark |= {"APPLICATION_ID": "spark-1", "EXECUTOR_POD_IP": "10.0.0.7", "EXECUTOR_POD_NAME": "exec-3"}
    spark |= {"EXECUTOR_MEMORY": "4g", "RESOURCE_PROFILE_ID": "1"}
    spark |= {"JAVA_OPT_0": "-Da=with blank", "JAVA_OPT_1": '-Db="$HOME"'}
    environment = {f"SPARK_{key}": value for key, value in spark.items()} | {"PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run([ENTRYPOINT, "executor"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == java_command(environment)[1:]
