"""This machine as a node of a Ray cluster, for as long as a step works there.

A driver of Ray works beside a node, and the pod of a step is none of the cluster's. So it becomes one, without
CPUs: the cluster's workers do the work, this one asks for it. Ray's client (`ray://`) would do without, but what
runs through it is another, smaller Ray.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
# Counts come back to a driver, no data.
OBJECT_STORE_BYTES = 200_000_000
# A node that does not reach its head gives up after a minute, and takes the driver with it without a word.
GONE_SECONDS, LOOK_SECONDS = 30.0, 2.0


class RayClusterGone(Exception):
    """The head of the cluster does not answer any more."""


def own_address(address: str) -> str:
    """This machine's IP address as the head of the cluster at `address` (HOST:PORT) sees it.

    Raises:
        RayClusterGone: nobody answers there.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            return connection.getsockname()[0]
    except (OSError, ValueError) as error:
        raise RayClusterGone(f"the Ray cluster at {address} does not answer: {error}") from None


@contextlib.contextmanager
def joined(address: str) -> Iterator[str]:
    """Be a node of the cluster at `address` while the body runs; gives this machine's IP address there.

    Raises:
        RayClusterGone: nobody answers there, or, in the middle of the body, not any more.
    """
    ip = own_address(address)
    size = ("--num-cpus", "0", "--num-gpus", "0", "--object-store-memory", str(OBJECT_STORE_BYTES))
    ports = ("--min-worker-port", "0", "--max-worker-port", "0")
    command = [str(RAY), "start", "--block", "--address", address, "--node-ip-address", ip, *size, *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as node:
        try:
            printed = []
            for line in node.stdout:
                printed.append(line)
                if "Ray runtime started" in line:
                    break
            else:
                raise RayClusterGone(f"this machine cannot join the Ray cluster at {address}: {printed[-1:]}")
            threading.Thread(target=node.stdout.read, daemon=True).start()
            with _watched(address):
                yield ip
        finally:
            node.terminate()


@contextlib.contextmanager
def _watched(address: str) -> Iterator[None]:
    """RayClusterGone is raised in the main thread when the head has not answered for a while."""
    done = threading.Event()

    def raise_it(signum, frame):
        raise RayClusterGone(
            f"the Ray cluster at {address} is gone. Checkpoints are kept: run again once it is back"
        )

    def watch() -> None:
        left = GONE_SECONDS
        while left > 0:
            if done.wait(LOOK_SECONDS):
                return
            left = GONE_SECONDS if _answers(address) else left - LOOK_SECONDS
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, raise_it)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.signal(signal.SIGUSR1, before)


def _answers(address: str) -> bool:
    with contextlib.suppress(RayClusterGone):
        return bool(own_address(address))
    return False
