"""dcclip-full by a Spark cluster and a Ray cluster instead of this machine's engines, while things die.

A run of the smoke recipe has been made by this machine's engines. Its steps are made undone, all but the
teacher, and run again with the addresses of clusters: their places are the same, what is in them can be
compared. Meanwhile a Spark executor, then the process of a step, then a Ray node are killed.
"""

import contextlib
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from infra.store import read_done
from pipelines.resolve import STEPS
from tests.cluster import clusters
from tests.cluster.clusters import RayCluster, SparkCluster, arguments_of, family, kill, wait_for
from tests.smoke_run import command, steps_run
from training.job import read_curve

pytestmark = pytest.mark.slow
# What clusters have no part in; it takes a while, and would be the same.
KEPT = "prepare_teacher"
UNDONE = tuple(step for step in STEPS if step != KEPT)


@contextlib.contextmanager
def undone(root: Path, aside: Path) -> Iterator[None]:
    """Steps undone, their results `aside`; all is as it was at the end."""
    for step in UNDONE:
        (root / "store" / step).rename(aside / step)
    try:
        yield
    finally:
        for step in UNDONE:
            clusters.remove(root / "store" / step)
            (aside / step).rename(root / "store" / step)


class Run:
    """`dcclip run` under way; what it prints is gathered."""

    def __init__(self, root: Path, spark: SparkCluster, ray: RayCluster):
        options = ["--spark-master", spark.address, "--ray-address", ray.address]
        self.store = root / "store"
        self.process = subprocess.Popen(
            [*command(root), *options],
            env=os.environ | spark.environment | ray.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        self.reader.start()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        kill(family(self.process.pid))
        self.reader.join()

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def wait_for(self, found, what: str):
        """As long as the run goes on."""

        def look():
            assert self.process.poll() is None, self.printed
            return found()

        return wait_for(look, what)

    def wait_for_step(self, step: str) -> None:
        self.wait_for(lambda: step in steps_run(self.printed), step)

    def wait_for_file(self, pattern: str) -> Path:
        return self.wait_for(lambda: next(self.store.glob(pattern), None), pattern)

    def step_process(self, step: str):
        """The process of a step itself, without the engines'."""
        wanted = {"kfp.dsl.executor_main", step}
        (found,) = [each for each in family(self.process.pid) if wanted <= set(arguments_of(each))]
        return found

    def end(self) -> int:
        return self.process.wait(timeout=600)


@dataclass(frozen=True)
class Story:
    """What came of it: the root, the results of this machine's engines, what two runs printed."""

    root: Path
    local: Path
    first: str
    second: str
    executor_logs: list[Path]

    def places(self, step: str) -> tuple[Path, Path]:
        """(by this machine's engines, by clusters)."""
        (local,), (clustered,) = ((self.local / step).iterdir(), (self.root / "store" / step).iterdir())
        return local, clustered


@pytest.fixture(scope="module")
def story(first_run, tmp_path_factory) -> Iterator[Story]:
    with lived_through(first_run[0], tmp_path_factory.mktemp("clusters")) as story:
        yield story


@contextlib.contextmanager
def lived_through(root: Path, folder: Path) -> Iterator[Story]:
    """Two runs on clusters below `folder`, over the finished run at `root`."""
    (folder / "local").mkdir()
    with (
        undone(root, folder / "local"),
        clusters.spark_cluster(folder / "spark") as spark,
        clusters.ray_cluster(folder / "ray") as ray,
    ):
        with Run(root, spark, ray) as first:
            lose_an_executor(first, spark)
            lose_the_step(first)
            assert first.end() != 0
        with Run(root, spark, ray) as second:
            lose_a_node(second, ray)
            assert second.end() == 0, second.printed
        yield Story(root, folder / "local", first.printed, second.printed, spark.logs())


def lose_an_executor(run: Run, spark: SparkCluster) -> None:
    """While it judges pairs."""
    run.wait_for_step("filter_pairs")
    run.wait_for(spark.executors, "an executor that runs Python")
    kill(family(spark.executors()[0].pid))


def lose_the_step(run: Run) -> None:
    """With a shard half written, as when its pod is out of memory."""
    run.wait_for_file("embed_pairs/*/shards/.*")
    kill([run.step_process("embed_pairs")])


def lose_a_node(run: Run, ray: RayCluster) -> None:
    """While it trains; another takes its place."""
    for step in ("embed_pairs", "select_pairs", "distill_student"):
        run.wait_for_step(step)
    run.wait_for_file("distill_student/*/curve.jsonl")
    ray.kill_node()
    ray.add_node()


def test_the_places_are_those_of_this_machines_engines(story):
    for step in UNDONE:
        local, clustered = story.places(step)
        assert local.name == clustered.name
        assert read_done(clustered)["values"] == read_done(local)["values"]


def test_each_worker_had_an_executor_and_a_lost_one_was_replaced(story):
    num_executors = Counter(log.parent.parent.name for log in story.executor_logs)
    assert sorted(num_executors.values()) == [2, 2, 3]


@pytest.mark.parametrize("step", ["download_pairs", "filter_pairs"])
def test_a_job_that_lost_an_executor_has_the_same_result(story, step):
    local, clustered = (read_done(place)["facts"] for place in story.places(step))
    for facts in (local, clustered):
        # How fast the crawl was is another matter.
        facts.get("crawl", {}).clear()
    assert clustered == local


def test_the_same_pairs_are_kept_and_selected(story):
    for step, name in (("filter_pairs", "kept"), ("select_pairs", "selected")):
        local, clustered = (
            set(pd.read_parquet(place / f"{name}.parquet")["key"]) for place in story.places(step)
        )
        assert clustered == local


def test_a_step_that_was_killed_is_named_and_the_run_after_goes_on_there(story):
    assert "embed_pairs ended without a word: it was killed" in story.first
    assert steps_run(story.second) == list(UNDONE[2:])


@pytest.mark.parametrize("step", ["distill_student", "align_student"])
def test_a_training_ends_as_on_one_machine_though_a_node_was_lost(story, step):
    local, clustered = story.places(step)
    for place in (local, clustered):
        assert read_curve(place)
    facts, others = (read_done(place)["facts"] for place in (clustered, local))
    assert facts["parameters"] == others["parameters"]
    assert facts["last_loss"] == pytest.approx(others["last_loss"], rel=0.05)


def test_the_version_that_was_registered_before_is_gone_on_with(story):
    local, clustered = (read_done(place)["facts"] for place in story.places("register_student"))
    assert clustered["version"] == local["version"]
