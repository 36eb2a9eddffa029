"""`make kind`: the commands from nothing to a champion, printed, in order, and ended by one that fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import kind
from infra.render import local_image
from pipelines.server.parameters import ADDRESSES
from tests.infra.manifests import FOLDER, PLATFORM

ROOT = FOLDER.parents[1]


def printed(*options: str, **environment: str) -> list[str]:
    """The lines of a dry run, as a person without docker, kind or helm sees it."""
    command = [sys.executable, "-m", "infra.kind", "--dry-run", *options]
    where = {"cwd": ROOT, "env": os.environ | environment}
    return subprocess.run(command, capture_output=True, text=True, check=True, **where).stdout.splitlines()


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return printed(PATH="/nowhere")


def test_a_dry_run_prints_all_in_order(lines):
    wanted = [
        "kind create cluster --name dcclip",
        "infra.images.build cpu",
        f"kind load docker-image {local_image()}",
        "apply --server-side -k infra/manifests/kubeflow/cluster-scoped",
        "apply --server-side -k infra/manifests/kubeflow/pipelines",
        "helm upgrade --install kuberay-operator",
        "create -f -  < the namespace and four secrets",
        "apply --server-side -f dist/manifests/kind.yaml",
        "rollout status deployment/mlflow",
        "-n dcclip wait --for=condition=available deployment --all",
        "s3.bucket.create -name dcclip",
        f"DCCLIP_IMAGE={local_image()}",
        "port-forward service/ml-pipeline 8888:8888 &",
        "run submit -e dcclip -f dist/dcclip-full.yaml --watch recipe=demo storage_root=/mnt/dcclip/demo",
    ]
    assert all(line.startswith("+ ") for line in lines)
    found = [next(number for number, line in enumerate(lines) if each in line) for each in wanted]
    assert found == sorted(found)


def test_no_secret_is_printed(lines):
    assert not re.search(r"[0-9a-f]{40}|accessKey|password", "\n".join(lines))


def test_what_the_commands_name_is_there(lines):
    text = "\n".join(lines)
    for file in re.findall(r"-k (\S+)", text):
        assert (ROOT / file / "kustomization.yaml").is_file()
    assert "2.17.0" in (ROOT / "infra/manifests/kubeflow/pipelines/kustomization.yaml").read_text()


def test_the_runbook_has_the_same_commands(lines):
    """Of those that a person types by hand; kind's own and the secrets are otherwise there."""
    runbook = re.sub(r" *\\\n *", " ", (ROOT / "infra" / "README.md").read_text())
    for line in lines:
        words = line.removeprefix("+ ").split()
        tool = words[0].rpartition("/")[2]
        if tool == "kubectl" and words[1] in ("apply", "wait") and "kubeflow" in line:
            assert f"kubectl {' '.join(words[1:])}" in runbook, line
    for parameter in (
        f"s3_endpoint={kind.STORE}",
        f"mlflow_uri={kind.REGISTRY}",
        "storage_root=/mnt/dcclip/demo",
    ):
        assert parameter in runbook
    files = re.findall(r"(?:-k|-f) (infra/\S+)", runbook)
    assert files and all((ROOT / file).exists() for file in files)


def test_a_bucket_is_a_word(lines):
    last = printed("--root", "s3://dcclip/demo", "--recipe", "smoke")[-1]
    words = dict(word.split("=", 1) for word in last.split() if re.match(r"\w+=", word))
    assert words.pop("recipe") == "smoke"
    assert words == {
        "storage_root": "s3://dcclip/demo",
        "s3_endpoint": kind.STORE,
        "mlflow_uri": kind.REGISTRY,
    }
    assert all(re.fullmatch(ADDRESSES[name][0], value) for name, value in words.items())


def test_the_secrets_are_those_that_the_manifests_want():
    made = {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": sorted(each["stringData"])
        for each in kind.secret_objects()
        if each["kind"] == "Secret"
    }
    assert made == {name: sorted(keys) for name, keys in PLATFORM["secrets"].items() if "hub" not in name}
    _, own, services, database, store = (each.get("stringData") for each in kind.secret_objects())
    assert own == services and own["AWS_SECRET_ACCESS_KEY"] in store["s3.json"]
    assert f":{database['password']}@postgres.dcclip-services:" in database["uri"]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Programs that write down how they were called, and what they read; `fails` is one that fails."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()

    def make(name: str, code: int = 0) -> Path:
        file = folder / name
        file.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {calls}\ncat >> {tmp_path}/{name}.stdin\nexit {code}\n'
        )
        file.chmod(0o755)
        return file

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(kind, "BEGINS_SECONDS", 0.2)
    make.calls = lambda: calls.read_text().splitlines() if calls.exists() else []
    make.stdin = lambda name: (tmp_path / f"{name}.stdin").read_text()
    return make


def test_they_are_run_in_order_with_what_they_read(tools, capfd):
    for name in ("first", "second"):
        tools(name)
    kind.execute([kind.Command(("first", "a b"), "a secret", "a word"), kind.Command(("second",))])
    assert tools.calls() == ["first a b", "second "]
    assert tools.stdin("first") == "a secret"
    assert capfd.readouterr().out == "+ first 'a b'  < a word\n+ second\n"


def test_one_that_fails_ends_it_unless_it_may(tools):
    tools("broken", 3), tools("next")
    kind.execute([kind.Command(("broken",), may_fail=True), kind.Command(("next",))])
    with pytest.raises(SystemExit, match="the command above failed .3.; mend what it says, run again"):
        kind.execute([kind.Command(("broken",)), kind.Command(("next",))])
    assert tools.calls() == ["broken ", "next ", "broken "]


def test_one_in_the_background_goes_with_the_last(tools, tmp_path):
    forward = tmp_path / "bin" / "forward"
    forward.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nexec sleep 100\n")
    forward.chmod(0o755)
    command = ("test", "-e", str(tmp_path / "began"))
    kind.execute([kind.Command(("forward",), background=True), kind.Command(command)])


def test_missing_tools_are_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kind"])
    monkeypatch.setattr(kind.shutil, "which", lambda name, **_: "/bin/kubectl" if name == "kubectl" else None)
    with pytest.raises(SystemExit, match="there is no docker and no kind and no helm here; install it"):
        kind.main()


def test_make_hands_the_dry_run_on():
    done = subprocess.run(
        ["make", "-n", "kind", "DRY_RUN=1", "ARGS=--recipe smoke"], cwd=ROOT, capture_output=True, text=True
    )
    assert "-m infra.kind --dry-run --recipe smoke" in done.stdout
    assert done.returncode == 0
