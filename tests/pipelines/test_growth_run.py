"""A retraining: the lists of a finished run have grown, dcclip-data and dcclip-train go on with it.

The pictures that the first run crawled are on no server any more, so what is asked for again is lost; new
ones are on a server that says which it was asked for.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from infra.versions import Versions
from pipelines.local import read_outcome
from pipelines.resolve import DATA_STEPS, STEPS
from tests.components.crawl_site import counts_of, running
from tests.smoke_run import copy_root, dcclip_run, steps_run

NUM_NEW = 5
CORRECTED = "an arrow, corrected"
# The champion goes on to learn; all as briefly and by as few processes as it can be.
RETRAINING = (
    "dataset.grow=true",
    "distill_student.start=champion",
    "download_pairs.num_processes=1",
    *(f"{step}_student.num_workers=1" for step in ("distill", "align")),
    *(f"distill_student.phases.{number}.num_steps=5" for number in range(2)),
    "align_student.phases.0.num_steps=5",
)


@dataclass(frozen=True)
class Retraining:
    """What came of it: records by step of the first run and of the retraining, in a copy of its root.

    `champion` is the version that the registry had in between, `asked` how often each new picture was asked
    for; what the two halves have printed, and then the whole.
    """

    root: Path
    champion: int
    before: dict[str, dict]
    now: dict[str, dict]
    asked: dict[str, int]
    data: str
    train: str
    full: str

    def facts(self, step: str) -> tuple[dict, dict]:
        """(of the first run, of the retraining)."""
        return self.before[step]["facts"], self.now[step]["facts"]


def records_of(printed: str) -> dict[str, dict]:
    """Records by step of a run, by what it printed."""
    log = Path(re.search(r"^full log +(/\S+)$", printed, re.MULTILINE).group(1))
    return read_outcome(log.parent / "kfp")[0]


def registry_of(root: Path) -> mlflow.MlflowClient:
    """The registry of a run on this machine."""
    uri = f"sqlite:///{root}/mlflow.db"
    return mlflow.MlflowClient(uri, uri)


def lists_grow(corpus: Path, site: str) -> None:
    """Of the old pictures one is no longer listed, one has another English caption; new ones come."""
    for lang, caption in (("en", "speckled picture {}"), ("zh", "斑点图片{}")):
        file = corpus / f"pairs.{lang}.csv"
        rows = pd.read_csv(file, keep_default_na=False)
        # The first picture is there more than once.
        rows = rows.drop(index=1)
        if lang == "en":
            rows.loc[2, "caption"] = CORRECTED
        new = [(f"{site}/{number}.jpg", caption.format(number)) for number in range(NUM_NEW)]
        pd.concat([rows, pd.DataFrame(new, columns=rows.columns)]).to_csv(file, index=False)


@pytest.fixture(scope="module")
def retraining(first_run, tmp_path_factory) -> Retraining:
    root = tmp_path_factory.mktemp("retraining") / "root"
    copy_root(first_run[0], root)
    shutil.rmtree(root / "corpus" / "images")
    (root / "corpus" / "images").mkdir()
    champion = int(registry_of(root).get_model_version_by_alias("dcclip", "champion").version)
    with running("--pictures", str(NUM_NEW), "--side", "96") as site:
        lists_grow(root / "corpus", site)
        pipelines = ("dcclip-data", "dcclip-train", "dcclip-full")
        # The lists are no longer the demo's own, so its address is shut; the new server's is open.
        host = f'download_pairs.allowed_private_hosts=["{site.removeprefix("http://")}"]'
        printed = [dcclip_run(root, *RETRAINING, host, pipeline=name) for name in pipelines]
        records = map(records_of, (first_run[1], printed[-1]))
        return Retraining(root, champion, *records, counts_of(site), *printed)


def kept_rows(root: Path, version: int) -> pd.DataFrame:
    """The pairs that a version's filter kept."""
    place = Versions(str(root), "smoke").read(version).places["filter_pairs"]
    return pd.read_parquet(root / "store" / place / "kept.parquet")


def test_new_urls_alone_are_asked_for(retraining):
    assert set(retraining.asked) == {f"/{number}.jpg" for number in range(NUM_NEW)}
    before, now = retraining.facts("download_pairs")
    pictures, urls = before["crawl"]["downloaded"], before["crawl"]["urls"]
    counts = {name: now["known"][name] for name in ("new", "retried", "reused", "failed", "gone")}
    left = {"reused": pictures - 1, "failed": urls - pictures, "gone": 1}
    assert counts == {"new": NUM_NEW, "retried": 0, **left}
    assert now["crawl"]["downloaded"] == pictures - 1 + NUM_NEW


def test_the_data_set_has_a_second_version_grown_from_the_first(retraining):
    log = Versions(str(retraining.root), "smoke")
    assert log.numbers() == [1, 2]
    assert (log.read(1).base, log.read(2).base) == (0, 1)
    before, now = (set(kept_rows(retraining.root, number)["url"]) for number in (1, 2))
    assert len(now - before) == NUM_NEW
    assert len(before - now) == 1


def test_the_teacher_and_its_vectors_stay(retraining):
    assert retraining.facts("prepare_teacher")[1]["kept_from_version"] == 1
    before, now = retraining.facts("embed_pairs")
    captions = kept_rows(retraining.root, 1)[["zh", "en"]].notna().sum().sum()
    # Of the picture that is gone both captions are, and one was corrected.
    assert now["reused"] == {
        "images": before["pairs"] - 1,
        "captions": captions - 3,
        "texts": before["texts"],
    }
    assert now["pairs"] == before["pairs"] - 1 + NUM_NEW


def test_training_starts_as_the_recipe_says(retraining):
    before, now = retraining.facts("distill_student")
    assert (before["start"], now["start"]) == ("scratch", f"models:/dcclip/{retraining.champion}")


def test_the_gate_decides_between_the_champion_and_the_new_student(retraining):
    _, now = retraining.facts("register_student")
    assert now["version"] > retraining.champion == now["comparison"]["version"]
    decided = registry_of(retraining.root).get_model_version_by_alias("dcclip", now["alias"])
    assert int(decided.version) == now["version"]
    assert now["reason"] and now["reason"] != "the first version"


def test_the_whole_finds_done_what_its_halves_did(retraining):
    assert steps_run(retraining.data) == list(DATA_STEPS)
    assert steps_run(retraining.train) == list(STEPS[len(DATA_STEPS) :])
    assert steps_run(retraining.full) == []
    assert "Nothing to do" in retraining.full
