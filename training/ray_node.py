"""This machine as a node of a Ray cluster, for as long as a step works there.

A driver of Ray works beside a node, and the pod of a step is none of the cluster's. So it becomes one,
without CPUs: the cluster's workers do the work, this one asks for it. Ray's client (`ray://`) would do
without, but needs another package, and Ray Train and Ray Data are not made for it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from infra.engines import EngineGone, own_address

ENGINE = "the Ray cluster"
RAY = Path(sys.executable).with_name("ray")
# Counts come back to a driver, no data.
OBJECT_STORE_BYTES = 200_000_000
# Asked to leave, it would wait 30 seconds for its actors to end, and Ray Data's coordinator never does: it
# lives on the node that first asked for it.
LEAVE_AT_ONCE = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
# Shorter than Ray itself waits (training/ray_edge.py), which then ends the driver without a word.
GONE_SECONDS, LOOK_SECONDS = 30.0, 2.0


@contextlib.contextmanager
def joined(address: str) -> Iterator[str]:
    """Be a node of the cluster at `address` while the body runs; gives this machine's IP address there.

    Raises:
        EngineGone: nobody answers there, or, in the middle of the body, not any more.
    """
    ip = own_address(ENGINE, address)
    size = ("--num-cpus", "0", "--num-gpus", "0", "--object-store-memory", str(OBJECT_STORE_BYTES))
    ports = ("--min-worker-port", "0", "--max-worker-port", "0")
    command = [str(RAY), "start", "--block", "--address", address, "--node-ip-address", ip, *size, *ports]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=os.environ | LEAVE_AT_ONCE, **pipes) as node:
        try:
            printed = []
            for line in node.stdout:
                printed.append(line)
                if "Ray runtime started" in line:
                    break
            else:
                raise EngineGone(f"this machine cannot join the Ray cluster at {address}: {printed[-1:]}")
            threading.Thread(target=node.stdout.read, daemon=True).start()
            with _watched(address):
                yield ip
        finally:
            _end(node)


def _end(node: subprocess.Popen) -> None:
    """Ask it to leave the cluster; without a head it may not know how."""
    node.terminate()
    try:
        node.wait(timeout=20)
    except subprocess.TimeoutExpired:
        node.kill()


@contextlib.contextmanager
def _watched(address: str) -> Iterator[None]:
    """EngineGone is raised in the main thread when the head has not answered for a while."""
    done, gone = threading.Event(), threading.Event()

    def watch() -> None:
        left = GONE_SECONDS
        while left > 0:
            if done.wait(LOOK_SECONDS):
                return
            left = GONE_SECONDS if _answers(address) else left - LOOK_SECONDS
        gone.set()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    # Of all that a handler may raise, this alone ends Ray's waiting.
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not gone.is_set():
            raise
        raise EngineGone(
            f"the Ray cluster at {address} is gone; what was finished is kept: run again once it is back"
        ) from None
    finally:
        done.set()
        signal.signal(signal.SIGUSR1, before)


def _answers(address: str) -> bool:
    with contextlib.suppress(EngineGone):
        return bool(own_address(ENGINE, address))
    return False
