"""A Kubernetes API of pods on loopback, which also is the kubelet: a pod's container runs as a process here,
or in a container of its image.

It grants what a Role grants and no more, and keeps what it was asked for: `bodies` of new pods, `refused`
requests. Enough for Spark's driver: pods are read, listed, watched over HTTP, created and deleted.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERBS = {"POST": "create", "DELETE": "delete", "PUT": "update", "PATCH": "patch"}
NOW = "2026-01-01T00:00:00Z"


# Of this machine's environment, what processes and podman need.
KEPT = ("PATH", "PYTHONPATH", "JAVA_HOME", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "TMPDIR")


def as_process(container: dict, environment: dict[str, str]) -> list[str]:
    """The command line of a pod's container, for this machine's Python."""
    return [sys.executable if part == "python" else part for part in container["command"]] + container["args"]


def value_of(item: dict, fields: dict[str, str]) -> str | None:
    """A variable of a container; there are no secrets here, and one that need not be there sets nothing."""
    source = item.get("valueFrom", {})
    if secret := source.get("secretKeyRef"):
        assert secret["optional"], f"the secret {secret['name']} is not there"
        return None
    return item.get("value") or (source and fields[source["fieldRef"]["fieldPath"]]) or None


class Pods:
    """The pods of one namespace, and the processes that run their containers."""

    def __init__(self, logs: Path, command_of: Callable[[dict, dict], list[str]]):
        self.logs, self.pods, self.processes, self.command_of = logs, {}, {}, command_of
        self.watchers: list[queue.Queue] = []
        self.bodies: list[dict] = []
        self.refused: list[str] = []

    def add(self, body: dict, phase: str = "Pending") -> dict:
        """Keep a pod as the API does: with an identity and a status."""
        meta = body["metadata"]
        meta |= {"uid": str(uuid.uuid4()), "resourceVersion": "1", "creationTimestamp": NOW}
        conditions = [{"type": "Ready", "status": "True"}] if phase == "Running" else []
        self.pods[meta["name"]] = body | {"status": {"phase": phase, "conditions": conditions}}
        return self.pods[meta["name"]]

    def run(self, body: dict) -> dict:
        """Create a pod and start what its only container runs."""
        self.bodies.append(json.loads(json.dumps(body)))
        pod = self.add(body)
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]
        fields = {"status.podIP": "127.0.0.1", "metadata.name": name}
        found = {item["name"]: value_of(item, fields) for item in container["env"]}
        given = {variable: value for variable, value in found.items() if value}
        kept = {key: os.environ[key] for key in KEPT if key in os.environ}
        here = {"SPARK_LOCAL_DIRS": str(self.logs), "HOME": str(self.logs)}
        with (self.logs / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                self.command_of(container, given), env=kept | given | here, stdout=log, stderr=log
            )
        self._tell("ADDED", pod)
        pod["status"] = {"phase": "Running", "podIP": "127.0.0.1", "startTime": NOW}
        self._tell("MODIFIED", pod)
        return pod

    def delete(self, names: list[str]) -> None:
        """Stop pods."""
        for name in names:
            if process := self.processes.pop(name, None):
                process.terminate()
                process.wait(30)
            if pod := self.pods.pop(name, None):
                self._tell("DELETED", pod)

    def labelled(self, selector: str) -> list[dict]:
        """Pods whose labels fit `a=b,c!=d`."""
        wanted = [item.partition("=")[::2] for item in selector.split(",") if item]
        return [pod for pod in list(self.pods.values()) if _fits(pod["metadata"].get("labels", {}), wanted)]

    def _tell(self, kind: str, pod: dict) -> None:
        for watcher in self.watchers:
            watcher.put({"type": kind, "object": json.loads(json.dumps(pod))})


def _fits(labels: dict, wanted: list[tuple[str, str]]) -> bool:
    return all((labels.get(name.rstrip("!")) == value) is not name.endswith("!") for name, value in wanted)


def _handler(namespace: str, pods: Pods, granted: set[tuple[str, str]]):
    """Answers requests below /api/v1/namespaces/NAMESPACE."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def _body(self) -> dict:
            length = int(self.headers.get("Content-Length") or 0)
            return json.loads(self.rfile.read(length) or "{}")

        def _answer(self, value: dict, status: int = 200) -> None:
            content = json.dumps({"apiVersion": "v1", **value}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self) -> None:
            """Events of a watch, a line each, until the client goes."""
            events: queue.Queue = queue.Queue()
            pods.watchers.append(events)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                while event := events.get():
                    line = json.dumps(event).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                    self.wfile.flush()

        def _serve(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            resource, _, name = url.path.removeprefix(f"/api/v1/namespaces/{namespace}/").partition("/")
            watch = query.get("watch") == "true"
            verb = VERBS.get(self.command) or ("watch" if watch else "get" if name else "list")
            verb = "deletecollection" if verb == "delete" and not name else verb
            body = self._body()
            if (resource, verb) not in granted:
                pods.refused.append(f"{verb} {resource}")
                self._answer({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden"}, 403)
            elif watch and self.headers.get("Upgrade"):
                # No web sockets here: the client then asks for a plain stream.
                self._answer({"kind": "Status"})
            elif watch:
                self._stream()
            elif verb == "create":
                self._answer(pods.run(body), 201)
            elif verb in ("delete", "deletecollection"):
                labelled = pods.labelled(query.get("labelSelector", ""))
                pods.delete([name] if name else [pod["metadata"]["name"] for pod in labelled])
                self._answer({"kind": "Status", "status": "Success"})
            elif name in pods.pods:
                self._answer(pods.pods[name])
            elif name:
                self._answer({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)
            else:
                found = pods.labelled(query.get("labelSelector", ""))
                self._answer({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": found})

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve

    return Handler


@contextlib.contextmanager
def kubernetes_api(
    namespace: str, role: dict, logs: Path, command_of: Callable[[dict, dict], list[str]] = as_process
) -> Iterator[tuple[str, Pods]]:
    """(URL, pods) of an API that grants what `role`, a manifest, grants; ends what it started.

    `command_of(container, environment)` is the command line that stands for a pod's container.
    """
    granted = {
        (resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    pods = Pods(logs, command_of)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(namespace, pods, granted))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", pods
    finally:
        for watcher in pods.watchers:
            watcher.put(None)
        pods.delete(list(pods.pods))
        server.shutdown()
        server.server_close()
