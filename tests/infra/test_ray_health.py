"""The probes of Ray's pods: a server that greets back is well, and a real Ray's are."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.ray_health import GREETING, trouble
from tests.cluster.clusters import wait_for

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A server that answers one greeting with these bytes; None is one that is stuck."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is None:
                    connection.recv(4096, socket.MSG_PEEK)
                    done.wait(20)
                else:
                    assert connection.recv(4096) == GREETING
                    connection.sendall(answer)

        done = threading.Event()
        if answer != b"the kernel alone":
            threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        done.set()


@pytest.mark.parametrize(
    "answer, words",
    [
        (SETTINGS, ""),
        (bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)) + b"\0\3\0\0\0\1", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no answer of a gRPC server"),
        (b"", "is no answer of a gRPC server"),
        (None, "timed out"),
        (b"the kernel alone", "timed out"),
    ],
)
def test_a_server_that_greets_back_is_well(answer, words):
    with answering(answer) as port:
        found = trouble(port, timeout=0.5)
    assert (words in found) if words else found == ""


def test_nobody_there_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "refused" in trouble(free.getsockname()[1])


def probe(*ports: int) -> subprocess.CompletedProcess:
    """As the kubelet runs it."""
    command = [sys.executable, "-m", "infra.ray_health", *map(str, ports)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_probe_without_ports_is_a_mistake():
    assert (probe().returncode, probe().stderr[:9]) == (1, "name the ")


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [server.getsockname()[1] for server in taken]


def test_a_real_head_answers_and_a_dead_one_does_not():
    gcs, raylet = free_ports(2)
    ray = Path(sys.executable).with_name("ray")
    sizes = ("--num-cpus=0", "--object-store-memory=80000000", "--include-dashboard=false")
    where = ("--node-ip-address=127.0.0.1", f"--port={gcs}", f"--node-manager-port={raylet}")
    command = [ray, "start", "--head", "--block", *where, *sizes]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as head:
        try:
            wait_for(lambda: not trouble(gcs) and not trouble(raylet), "Ray's head")
            assert probe(gcs, raylet).returncode == 0
        finally:
            head.terminate()
    assert f"port {gcs}" in probe(gcs, raylet).stderr
