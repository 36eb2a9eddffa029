"""A Ray cluster that has no worker: a step asks for those its recipe allows, and they come."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import ray

from tests.training.ray_autoscaling import TOKEN, scaling_cluster
from training.ray_edge import await_devices, map_items, num_devices, ray_session


@pytest.fixture
def address(tmp_path, monkeypatch):
    """A cluster that may bring two nodes with a GPU each, and the word that it wants to hear."""
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    with scaling_cluster(tmp_path, 2) as found:
        yield found


def embed_from_zero(address: str, folder: Path) -> tuple[dict, list[dict], int]:
    """(what the cluster had, the results of four items, how many GPUs it has then)."""

    class Meeting:
        """An actor that tells its node, but not before another is at work on another node."""

        def __init__(self):
            self.node = ray.get_runtime_context().get_node_id()

        def __call__(self, item: dict) -> dict:
            (folder / self.node).touch()
            for _ in range(600):
                if len(list(folder.iterdir())) == 2:
                    break
                time.sleep(0.1)
            return {"node": self.node}

    with ray_session(address):
        before = ray.cluster_resources()
        await_devices("embed_pairs", 1, use_gpu=True)
        items = [{"number": number} for number in range(4)]
        rows = list(map_items(Meeting, {}, items, use_gpu=True, max_actors=2))
        return before, rows, num_devices(use_gpu=True)


def test_teachers_come_from_zero_as_many_as_the_recipe_allows(address, tmp_path):
    """In a process of its own: Ray takes a cluster's token once in a process's life."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        before, rows, num_gpus = alone.submit(embed_from_zero, address, folder).result()
    assert "GPU" not in before and num_gpus == 2
    assert len(rows) == 4 and {row["node"] for row in rows} == {path.name for path in folder.iterdir()}
