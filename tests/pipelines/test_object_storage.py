"""Steps whose root is an S3 bucket: each in a process and on a scratch folder of its own, as in pods."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.step import StepError
from infra import object_store
from infra.places import local_copy, read_record
from infra.store import read_json
from pipelines.commands.options import storage_root
from pipelines.demo import EXAM
from pipelines.resolve import choose_recipe, engine_addresses, local_folder, resolve
from tests.kfp_backend.backend import check_contract, client_of, runner
from tests.kfp_backend.runner import Run

LANGS = ("zh", "en")
COLOURS = ("red", "green", "blue", "black", "white", "gray")


def engines(root: str, endpoint: str) -> dict[str, str]:
    """Addresses as a run on this machine has them."""
    return engine_addresses(root, "local[2]", "", "sqlite:////tmp/mlflow.db", endpoint)


@pytest.fixture
def root(bucket, s3, served, tmp_path) -> str:
    """A root in S3 with all that the recipe names; the pictures are on a web server."""
    pictures, corpus = tmp_path / "pictures", tmp_path / "corpus"
    pictures.mkdir()
    (corpus / EXAM).mkdir(parents=True)
    rows = {"url": [], "caption": []}
    base = served(pictures)
    for colour in COLOURS:
        Image.new("RGB", (64, 64), colour).save(pictures / f"{colour}.png")
        rows["url"].append(f"{base}/{colour}.png")
        rows["caption"].append(f"a {colour} square")
    rows = pd.DataFrame(rows)
    rows[:3].to_csv(corpus / "pairs.en.csv", index=False)
    rows[3:].assign(caption="一个正方形").to_csv(corpus / "pairs.zh.csv", index=False)
    for name in ("texts.en.txt", "texts.zh.txt", f"{EXAM}/classnames.txt"):
        (corpus / name).write_text(name)
    files = {path.relative_to(corpus).as_posix(): path for path in corpus.rglob("*.*")}
    object_store.upload(files, f"{bucket}/runs/corpus", s3, "tests")
    own = {name: path for name, path in files.items() if name.endswith(".csv")}
    object_store.upload(own, f"{bucket}/runs/own", s3, "tests")
    return f"{bucket}/runs"


def run_until(task: str, root: str, endpoint: str, folder: Path) -> Run:
    """dcclip-full by the backend's rules until this task, each task with a scratch folder of its own."""
    # The pictures are plain squares.
    lenient = dict.fromkeys(("min_side", "min_bytes", "min_sigma", "min_entropy"), 0)
    overrides = {f"filter_pairs.image.{name}": value for name, value in lenient.items()}
    # Of one's own, on a server of one's own: step 0 makes the demo's.
    own = "download_pairs.lists.{}.path"
    overrides |= {own.format(number): f"own/pairs.{lang}.csv" for number, lang in enumerate(LANGS)}
    overrides["download_pairs.allow_private_addresses"] = True
    parameters = {"recipe": "smoke", "overrides": overrides, "storage_root": root, "s3_endpoint": endpoint}
    parameters |= {"spark_master": "local[2]", "mlflow_uri": "sqlite:////tmp/mlflow.db"}
    kubeflows = root.removesuffix("/runs") + "/kfp"
    return runner("dcclip-full", parameters, kubeflows, endpoint, folder, until=task).run()


def address_of(run: Run, task: str, name: str) -> str:
    """The result that an artifact refers to."""
    return run.results.artifacts[task][name].metadata["address"]


def test_two_steps_on_two_machines_and_a_third_that_finds_them_done(root, s3, tmp_path):
    run = run_until("filter-pairs", root, s3, tmp_path / "one")
    check_contract(run, client_of(s3))
    raw = address_of(run, "download-pairs", "raw")
    assert raw.startswith(f"{root}/store/download_pairs/")
    assert read_record(raw, s3)["facts"]["crawl"]["downloaded"] == len(COLOURS)
    pairs, printed = address_of(run, "filter-pairs", "pairs"), run.log("filter-pairs")
    assert f"from {raw}" in printed
    assert read_record(pairs, s3)["facts"]["input"] == len(COLOURS)
    with local_copy(pairs, s3, "tests") as folder:
        assert (
            len(pd.read_parquet(folder / "kept.parquet")) == read_json(folder / "done.json")["facts"]["kept"]
        )
    again = run_until("download-pairs", root, s3, tmp_path / "three")
    assert address_of(again, "download-pairs", "raw") == raw
    assert "already done, nothing to do" in again.log("download-pairs")
    attempts = [attempt for each in (run, again) for found in each.attempts.values() for attempt in found]
    assert not (attempts[-1].root / "scratch").exists()
    assert "a-secret" not in "".join(word for attempt in attempts for word in attempt.command())


def test_content_in_s3_changes_the_step_that_reads_it(root, s3, tmp_path):
    before = resolve(choose_recipe("smoke", {}), root, engines(root, s3))
    (tmp_path / "texts").write_text("other")
    object_store.upload({"texts.en.txt": tmp_path / "texts"}, f"{root}/corpus", s3, "tests")
    after = resolve(choose_recipe("smoke", {}), root, engines(root, s3))
    assert {step for step in before if before[step] != after[step]} == {"embed_pairs"}
    lists = before["download_pairs"]["values"]["lists"]
    assert [item["path"] for item in lists] == [f"{root}/corpus/pairs.{lang}.csv" for lang in ("zh", "en")]


def test_a_list_in_s3_may_be_part_of_a_local_run(root, s3, tmp_path):
    shutil.copytree(tmp_path / "corpus", tmp_path / "here" / "corpus")
    path = f"{root}/corpus/pairs.*.csv"
    recipe = choose_recipe("smoke", {"download_pairs.lists.0.path": path})
    here = str(tmp_path / "here")
    first, second = resolve(recipe, here, engines(here, s3))["download_pairs"]["values"]["lists"]
    assert (first["path"], second["path"]) == (path, f"{here}/corpus/pairs.en.csv")


def test_a_missing_list_in_s3_is_named(root, s3):
    recipe = choose_recipe("smoke", {"download_pairs.lists.0.path": "lists/gone.csv"})
    message = f"nothing is at {root}/lists/gone.csv, at {s3}; the recipe's path names it"
    with pytest.raises(StepError, match=message):
        resolve(recipe, root, engines(root, s3))


def test_a_root_in_s3_needs_a_registry():
    with pytest.raises(
        StepError, match="s3://bucket/runs cannot hold the registry's database: give mlflow_uri"
    ):
        engine_addresses("s3://bucket/runs", "", "", "")


@pytest.mark.parametrize(
    "root, mlflow_uri, artifacts",
    [
        ("s3://bucket/runs", "http://mlflow:5000", ""),
        ("s3://bucket/runs", "sqlite:////here/mlflow.db", "s3://bucket/runs/mlflow"),
        ("/data", "sqlite:////here/mlflow.db", "file:///data/mlflow"),
    ],
)
def test_where_the_registry_keeps_files(root, mlflow_uri, artifacts):
    assert engine_addresses(root, "", "", mlflow_uri)["mlflow_artifacts"] == artifacts


@pytest.mark.parametrize(
    "text, root, here",
    [
        ("s3://bucket/runs/", "s3://bucket/runs", Path("out/s3/bucket/runs").resolve()),
        ("out", str(Path("out").resolve()), Path("out").resolve()),
    ],
)
def test_a_root_is_a_folder_or_an_address(text, root, here):
    assert storage_root(text) == root
    assert local_folder(root) == here
