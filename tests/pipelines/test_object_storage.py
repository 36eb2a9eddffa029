"""Steps whose root is an S3 bucket: each in a process and on a scratch folder of its own, as in pods."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.step import StepError
from infra import object_store
from infra.places import local_copy, read_record
from infra.store import read_json, write_json
from pipelines.commands.options import storage_root
from pipelines.demo import EXAM
from pipelines.resolve import choose_recipe, engine_addresses, local_folder, resolve

COLOURS = ("red", "green", "blue", "black", "white", "gray")
STEP = """
import json, sys
from importlib import import_module
from kfp import dsl

step, config, inputs, output = sys.argv[1], *map(json.loads, sys.argv[2:])
face = getattr(import_module(f"components.{step}"), step).python_func
artifact = dsl.Dataset(uri="")
artifacts = {key: dsl.Dataset(uri=uri) for key, uri in inputs.items()}
face(json.load(open(config)), **artifacts, **{output: artifact})
print(json.dumps(artifact.uri))
"""


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
    return f"{bucket}/runs"


def run_step(step: str, config: dict, folder: Path, inputs: dict[str, str], output: str) -> tuple[str, str]:
    """(place, what was printed) of a step in a process with its own scratch folder."""
    folder.mkdir(exist_ok=True)
    write_json(folder / "config.json", config)
    arguments = [f'"{folder}/config.json"', str(inputs).replace("'", '"'), f'"{output}"']
    environment = {**os.environ, "DCCLIP_SCRATCH": str(folder / "scratch")}
    done = subprocess.run(
        [sys.executable, "-c", STEP, step, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1].strip('"'), done.stdout


def test_two_steps_on_two_machines_and_a_third_that_finds_them_done(root, s3, tmp_path):
    # The pictures are plain squares.
    lenient = dict.fromkeys(("min_side", "min_bytes", "min_sigma", "min_entropy"), 0)
    recipe = choose_recipe("smoke", {f"filter_pairs.image.{name}": value for name, value in lenient.items()})
    allowed = replace(recipe.download_pairs, allow_private_addresses=True)
    recipe = replace(recipe, download_pairs=allowed)
    configs = resolve(recipe, root, engines(root, s3))
    raw, _ = run_step("download_pairs", configs["download_pairs"], tmp_path / "one", {}, "raw")
    assert raw.startswith(f"{root}/store/download_pairs/")
    assert read_record(raw, s3)["facts"]["crawl"]["downloaded"] == len(COLOURS)
    pairs, printed = run_step(
        "filter_pairs", configs["filter_pairs"], tmp_path / "two", {"raw": raw}, "pairs"
    )
    assert f"from {raw}" in printed
    assert read_record(pairs, s3)["facts"]["input"] == len(COLOURS)
    with local_copy(pairs, s3, "tests") as folder:
        assert (
            len(pd.read_parquet(folder / "kept.parquet")) == read_json(folder / "done.json")["facts"]["kept"]
        )
    again, printed = run_step("download_pairs", configs["download_pairs"], tmp_path / "three", {}, "raw")
    assert again == raw
    assert "already done, nothing to do" in printed
    assert not (tmp_path / "three" / "scratch").exists()
    assert "a-secret" not in "".join(path.read_text() for path in tmp_path.glob("*/config.json"))


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
