"""Clusters on loopback for tests: Spark standalone and Ray, two nodes each, every node processes of its own.

Nodes are small: one core, and memory to match. They end with the test, however that ends.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyspark

from spark_jobs.session import java_options

HOST = "127.0.0.1"
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
MAX_SECONDS = 600
# Nodes and executors live for seconds, in which optimising does not pay.
BRIEF_JAVA = java_options(short_job=True, archive_to=None)
# What the executors of a cluster get, as its administrator writes it; Spark reads the file that is there.
SPARK_DEFAULTS = f"""
spark.executor.memory    512m
spark.executor.cores     1
spark.executor.extraJavaOptions    {BRIEF_JAVA}
spark.sql.shuffle.partitions    4
"""
# A head looks after its nodes every 3 seconds, and gives one up at the fifth time that it is not there.
SOON_KNOWN = {"RAY_health_check_period_ms": "400"}


def wait_for(found, what: str):
    """The first true answer of `found()`; it is waited for, up to a bound."""
    end = time.monotonic() + MAX_SECONDS
    while not (answer := found()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return answer


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it, none when it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL them all, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=30)


@dataclass
class Nodes:
    """Processes that were started, with a log each."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *command: str) -> Path:
        """Start a node; returns its log."""
        log = self.folder / f"node-{len(self.started)}.log"
        with log.open("w") as stream:
            process = subprocess.Popen(command, env=self.environment, stdout=stream, stderr=stream)
        self.started.append(process)
        return log

    def stop(self) -> None:
        """End all nodes, and what they have started."""
        for process in self.started:
            kill(family(process.pid))
            process.wait()


def _said(log: Path, pattern: str) -> list[str]:
    return wait_for(lambda: re.findall(pattern, log.read_text()), f"{pattern} in {log}")


@dataclass
class SparkCluster:
    """A standalone cluster: its address, and the folder with settings for those who use it."""

    address: str
    nodes: Nodes

    @property
    def environment(self) -> dict[str, str]:
        """What a driver needs in its environment."""
        return {"SPARK_CONF_DIR": str(self.nodes.folder / "conf"), "SPARK_LOCAL_IP": HOST}

    def executors(self) -> list[psutil.Process]:
        """Executors at work: those that have started Python."""
        below = [process for worker in self.nodes.started[1:] for process in family(worker.pid)[1:]]
        daemons = [each for each in below if "pyspark.daemon" in arguments_of(each)]
        return [each.parent() for each in daemons if each.is_running()]

    def logs(self) -> list[Path]:
        """What each executor wrote."""
        return sorted(self.nodes.folder.glob("work-*/app-*/*/stderr"))


def arguments_of(process: psutil.Process) -> list[str]:
    """Its command line, empty when it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@contextlib.contextmanager
def spark_cluster(folder: Path) -> Iterator[SparkCluster]:
    """A standalone master with two workers."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "spark-defaults.conf").write_text(SPARK_DEFAULTS)
    environment = {
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": BRIEF_JAVA,
        "SPARK_LOCAL_IP": HOST,
    }
    nodes = Nodes(folder, os.environ | environment)
    anywhere = ("--host", HOST, "--port", "0", "--webui-port", "0")
    try:
        log = nodes.start(str(SPARK_CLASS), "org.apache.spark.deploy.master.Master", *anywhere)
        address = _said(log, rf"Starting Spark master at (spark://{HOST}:\d+)")[0]
        for number in range(2):
            size = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work-{number}"))
            worker = "org.apache.spark.deploy.worker.Worker"
            nodes.start(str(SPARK_CLASS), worker, *anywhere, *size, address)
        wait_for(lambda: log.read_text().count("Registering worker") == 2, "two workers")
        yield SparkCluster(address, nodes)
    finally:
        nodes.stop()


@dataclass
class RayCluster:
    """A head and other nodes, which talk to those alone who know the token."""

    address: str
    nodes: Nodes

    @property
    def environment(self) -> dict[str, str]:
        """What a driver needs in its environment."""
        return {name: self.nodes.environment[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}

    def add_node(self) -> None:
        """One more node, ready when this returns."""
        # They are one machine, where the head looks after all logs.
        options = ("--address", self.address, "--include-log-monitor", "false")
        log = self.nodes.start(*_ray(len(self.nodes.started), *options))
        _said(log, "Ray runtime started")

    def kill_node(self) -> None:
        """SIGKILL the node that came last."""
        kill(family(self.nodes.started[-1].pid))

    def kill_head(self) -> None:
        """SIGKILL the head, and with it what knows of all the others."""
        kill(family(self.nodes.started[0].pid))


def _ray(number: int, *options: str) -> list[str]:
    """`ray start` of one node: an address of its own, and free ports, as this machine is all the nodes'."""
    ports = ("--min-worker-port", "0", "--max-worker-port", "0")
    size = ("--num-cpus", "1", "--num-gpus", "0", "--object-store-memory", "200000000")
    ray = str(Path(sys.executable).with_name("ray"))
    where = ("--node-ip-address", f"127.0.0.{number + 2}", "--disable-usage-stats")
    return [ray, "start", "--block", *where, *size, *ports, *options]


@contextlib.contextmanager
def ray_cluster(folder: Path) -> Iterator[RayCluster]:
    """Two nodes of one CPU each."""
    # Sockets have short names, and a folder of its own keeps others' `ray.init()` away from this cluster.
    temporary = tempfile.mkdtemp(prefix="dcclip-ray-", dir="/tmp")
    # Said in so many words: a head takes to tokens where it finds one, and others then do not get in.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    nodes = Nodes(folder, os.environ | token | SOON_KNOWN | {"RAY_worker_niceness": "0"})
    folder.mkdir(parents=True)
    head = ("--head", "--port", "0", "--temp-dir", temporary, "--include-dashboard", "false")
    try:
        log = nodes.start(*_ray(0, *head))
        _said(log, "Ray runtime started")
        cluster = RayCluster(Path(temporary, "ray_current_cluster").read_text().strip(), nodes)
        cluster.add_node()
        yield cluster
    finally:
        nodes.stop()
        shutil.rmtree(temporary, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove a folder that may not be there."""
    if folder.exists():
        shutil.rmtree(folder)
