"""A whole cluster on this machine by kind, and the demo run on it: `make kind`.

    python -m infra.kind [--dry-run] [--root s3://dcclip/demo] [--recipe smoke]

Needs docker, kind and helm, and 4 CPUs and 16 GiB for the one node. Each command is printed before it runs,
and with --dry-run printed alone: they are those of infra/README.md. Run again, it goes on with the cluster
that is there. `kind delete cluster --name dcclip` takes all of it away.
"""

import argparse
import contextlib
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.render import find_kubectl, local_image

CLUSTER = "dcclip"
KUBERAY = ("--repo", "https://ray-project.github.io/kuberay-helm/", "--version", "1.5.0")
KUBEFLOW = "infra/manifests/kubeflow"
PIPELINE, MANIFESTS = "dist/dcclip-full.yaml", "dist/manifests/kind.yaml"
STORE, REGISTRY = "http://object-store.dcclip-services:8333", "http://mlflow.dcclip-services:5000"
PORT = 8888
WAIT = "--timeout=20m"
BEGINS_SECONDS = 3.0
TOOLS = ("docker", "kind", "helm")


@dataclass(frozen=True)
class Command:
    """One command; `stdin` is what it reads and `shown` how that is printed, for it may hold secrets.

    One in the `background` runs until the last has ended. Of one that `may_fail` the failure is no end.
    """

    words: tuple[str, ...]
    stdin: str = ""
    shown: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    background: bool = False
    may_fail: bool = False

    def __str__(self) -> str:
        """As a person would type it."""
        before = "".join(f"{name}={value} " for name, value in self.environment.items())
        after = f"  < {self.shown}" if self.stdin else ""
        return f"{before}{shlex.join(self.words)}{after}{' &' if self.background else ''}"


def cluster_commands(image: str) -> list[Command]:
    """The cluster, and the image of the steps in it."""
    exists = ("kind", "export", "kubeconfig", "--name", CLUSTER)
    return [
        # It says that there is a cluster of that name, which is then gone on with.
        Command(("kind", "create", "cluster", "--name", CLUSTER, "--wait", "5m"), may_fail=True),
        Command(exists),
        Command((sys.executable, "-m", "infra.images.build", "cpu", "--engine", "docker")),
        Command(("kind", "load", "docker-image", image, "--name", CLUSTER)),
    ]


def platform_commands(kubectl: str) -> list[Command]:
    """Kubeflow Pipelines and KubeRay's operator."""
    operator = (
        "kuberay-operator",
        "kuberay-operator",
        *KUBERAY,
        "--namespace",
        "kuberay",
        "--create-namespace",
    )
    return [
        Command((kubectl, "apply", "--server-side", "-k", f"{KUBEFLOW}/cluster-scoped")),
        Command((kubectl, "wait", "--for=condition=established", "crd/workflows.argoproj.io", WAIT)),
        Command((kubectl, "apply", "--server-side", "-k", f"{KUBEFLOW}/pipelines")),
        Command(("helm", "upgrade", "--install", *operator, "--wait")),
    ]


def secret_objects() -> list[dict]:
    """The namespace of the services, and the secrets that the manifests refer to; values are made up."""
    key, word, password = "dcclip", secrets.token_hex(20), secrets.token_hex(20)
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": word}
    credentials = [{"accessKey": key, "secretKey": word}]
    identities = {"identities": [{"name": key, "credentials": credentials, "actions": ["Admin"]}]}
    uri = f"postgresql+pg8000://mlflow:{password}@postgres.dcclip-services:5432/mlflow"
    values = {
        ("dcclip", "dcclip-s3"): keys,
        ("dcclip-services", "dcclip-s3"): keys,
        ("dcclip-services", "dcclip-database"): {"uri": uri, "password": password},
        ("dcclip-services", "dcclip-object-store"): {"s3.json": json.dumps(identities)},
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dcclip-services"}}
    return [space] + [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": name},
            "stringData": data,
        }
        for (namespace, name), data in values.items()
    ]


def install_commands(kubectl: str) -> list[Command]:
    """Secrets, manifests, and a wait until all is there."""
    made = json.dumps({"apiVersion": "v1", "kind": "List", "items": secret_objects()})
    services = ("-n", "dcclip-services")
    bucket = ("exec", "-i", "object-store-0", "--", "weed", "shell", "-master=127.0.0.1:9333")
    create = "s3.bucket.create -name dcclip\n"
    waits = [
        (*services, "rollout", "status", "statefulset/postgres", WAIT),
        (*services, "rollout", "status", "statefulset/object-store", WAIT),
        (*services, "rollout", "status", "deployment/mlflow", WAIT),
        ("-n", "dcclip", "wait", "--for=condition=available", "deployment", "--all", WAIT),
        ("-n", "dcclip", "wait", "--for=condition=HeadPodReady", "raycluster/dcclip", WAIT),
    ]
    return [
        # `create`, which leaves secrets alone that an earlier call has made: the database knows its password.
        Command((kubectl, "create", "-f", "-"), made, "the namespace and four secrets", may_fail=True),
        Command((sys.executable, "-m", "infra.render", "kind")),
        Command((kubectl, "apply", "--server-side", "-f", MANIFESTS)),
        *[Command((kubectl, *words)) for words in waits],
        Command((kubectl, *services, *bucket), create, create.strip()),
    ]


def run_commands(kubectl: str, image: str, recipe: str, root: str) -> list[Command]:
    """The pipeline, compiled and submitted by the stock client, and watched to its end."""
    programs = Path(sys.executable).parent
    parameters = [f"recipe={recipe}", f"storage_root={root}", f"mlflow_uri={REGISTRY}"]
    parameters += [f"s3_endpoint={STORE}"] if root.startswith("s3://") else []
    submit = ("run", "submit", "-e", "dcclip", "-f", PIPELINE, "--watch", *parameters)
    forward = ("-n", "dcclip", "port-forward", "service/ml-pipeline", f"{PORT}:8888")
    return [
        Command(
            (str(programs / "dcclip"), "compile", "--output", PIPELINE), environment={"DCCLIP_IMAGE": image}
        ),
        Command((kubectl, *forward), background=True),
        Command((str(programs / "kfp"), "--endpoint", f"http://127.0.0.1:{PORT}", *submit)),
    ]


def all_commands(recipe: str, root: str) -> list[Command]:
    """From nothing to a champion."""
    kubectl, image = find_kubectl(), local_image()
    return [
        *cluster_commands(image),
        *platform_commands(kubectl),
        *install_commands(kubectl),
        *run_commands(kubectl, image, recipe, root),
    ]


@contextlib.contextmanager
def started(command: Command) -> Iterator[None]:
    """A command in the background, for as long as this is open; it has a moment to begin."""
    with subprocess.Popen(command.words, stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(BEGINS_SECONDS)
            yield
        finally:
            process.terminate()


def execute(commands: Sequence[Command]) -> None:
    """Print and run them in order; exits with the first that fails, which has said why."""
    with contextlib.ExitStack() as stack:
        for command in commands:
            print(f"+ {command}", flush=True)
            if command.background:
                stack.enter_context(started(command))
                continue
            done = subprocess.run(
                command.words, input=command.stdin, text=True, env=os.environ | command.environment
            )
            if done.returncode and not command.may_fail:
                sys.exit(f"kind: the command above failed ({done.returncode}); mend what it says, run again")


def main() -> None:
    """Print the commands, and run them unless they are only to be seen."""
    parser = argparse.ArgumentParser(prog="python -m infra.kind", description=__doc__.split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="print the commands alone")
    parser.add_argument("--recipe", default="demo", help="demo or smoke (default: demo)")
    text = "a folder below /mnt/dcclip or s3://dcclip/PREFIX (default: /mnt/dcclip/RECIPE)"
    parser.add_argument("--root", default="", help=text)
    options = parser.parse_args()
    commands = all_commands(options.recipe, options.root or f"/mnt/dcclip/{options.recipe}")
    if options.dry_run:
        print("\n".join(f"+ {command}" for command in commands))
        return
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        sys.exit(f"kind: there is no {' and no '.join(missing)} here; install it, or see --dry-run")
    execute(commands)


if __name__ == "__main__":
    main()
