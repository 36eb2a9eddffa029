"""A Ray cluster on loopback whose workers scale from zero: Ray's own autoscaler and provider of fake nodes.

Head and nodes are processes of this machine, and a node's GPU is a number. Ray's `AutoscalingCluster` is not
used: it begins by ending every Ray on the machine, and its default settings are not in the wheel.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.clusters import Nodes, wait_for

HOST = "127.0.0.2"
# The autoscaler knows its head by the number that the provider of fake nodes gives it.
HEAD = "f" * 51 + "00000"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
OBJECT_STORE_BYTES = 100_000_000
# What the autoscaler wants said, though fake nodes have no use for it.
SETUP = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
EMPTY = (*SETUP, "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files")
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
    "RAY_worker_niceness": "0",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    **TOKEN,
}


def _settings(address: str, max_nodes: int) -> dict:
    """The autoscaler's: a head that works on nothing, and nodes of one CPU and one GPU."""
    node = {"CPU": 1, "GPU": 1, "object_store_memory": OBJECT_STORE_BYTES}
    provider = {"type": "external", "module": PROVIDER, "gcs_address": address, "head_node_id": HEAD}
    provider |= {"use_node_id_as_ip": True, "disable_node_updaters": True, "launch_multiple": True}
    return {
        "cluster_name": "from-zero",
        "provider": provider | {"disable_launch_config_check": True},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "gpu": {"resources": node, "node_config": {}, "min_workers": 0, "max_workers": max_nodes},
        },
        "max_workers": max_nodes,
        "idle_timeout_minutes": 1,
        **{name: [] for name in EMPTY},
        **{name: {} for name in ("auth", "docker", "file_mounts")},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def scaling_cluster(folder: Path, max_nodes: int) -> Iterator[str]:
    """The address of a cluster without workers that may bring `max_nodes`; drivers need `TOKEN`."""
    # Sockets have short names.
    temporary = tempfile.mkdtemp(prefix="dcclip-ray-", dir="/tmp")
    port = _free_port()
    address = f"{HOST}:{port}"
    settings = folder / "autoscaling.json"
    settings.write_text(json.dumps(_settings(address, max_nodes)))
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "start", "--block", "--head", "--port", str(port), "--node-ip-address", HOST]
    command += ["--num-cpus", "0", "--num-gpus", "0", "--object-store-memory", str(OBJECT_STORE_BYTES)]
    command += ["--min-worker-port", "0", "--max-worker-port", "0", "--temp-dir", temporary]
    command += ["--include-dashboard", "false", "--disable-usage-stats", f"--autoscaling-config={settings}"]
    nodes = Nodes(folder, os.environ | ENVIRONMENT)
    try:
        log = nodes.start(*command)
        wait_for(lambda: "Ray runtime started" in log.read_text(), f"a head, see {log}")
        yield address
    finally:
        nodes.stop()
        shutil.rmtree(temporary, ignore_errors=True)
