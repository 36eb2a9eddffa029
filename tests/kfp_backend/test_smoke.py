"""dcclip-full and dcclip-train on the smoke recipe by the backend's rules, to registration.

Both reuse the one smoke run that all tests share (`first_run`), since results are found by their content.
Each task's launcher contract is kept in full (addresses, copies of inputs and outputs, environment,
parameters), and few steps work anew.

- On a folder: the run's own root with one value of export_student changed, so export_student and
  register_student work, the others find their results. export_student's first attempt is killed when it has
  written half of its result, and its second finishes. Then dcclip-train takes the version that was published.
- On a bucket: the results are laid into the bucket under the addresses that a run there would give them;
  register_student works, and fetches what it needs. Steps 1 and 2 work on a bucket in
  tests/pipelines/test_object_storage.py.
"""

import re
from pathlib import Path

import pytest
import yaml

from components.step import result_name
from infra import object_store
from infra.places import read_record
from infra.store import plain, read_json
from pipelines.growth import resolve_run
from pipelines.local import read_outcome
from pipelines.resolve import STEPS, choose_recipe, engine_addresses
from pipelines.server.package import make_package
from tests.kfp_backend.backend import check_contract, client_of, content, runner, seed_results
from tests.kfp_backend.driver import tasks_of
from tests.kfp_backend.runner import Run
from tests.s3_server import SECRET_KEY
from tests.smoke_run import PORT

RECIPE = {"recipe": "smoke", "spark_master": "local[2]"}
PORT_OVERRIDE = {"corpus.port": PORT}
# What is read of the store, by register_student and as the page of the funnel; else the records alone.
READ_BY_REGISTER = ("export_student", "evaluate_student", "select_pairs")


def places_of(printed: str) -> dict[str, str]:
    """The results' folders by step of a run, by what it printed."""
    log = Path(re.search(r"^full log +(/\S+)$", printed, re.MULTILINE).group(1))
    return read_outcome(log.parent / "kfp")[1]


def steps_of(run: Run, said: str) -> list[str]:
    """The steps that said something in their last attempt, in order."""
    return [step for step in STEPS if f"[{step}] {said}" in run.log(step.replace("_", "-"))]


def half_written(step: Path) -> bool:
    """Whether a result has begun and is not finished."""
    return any(not (place / "done.json").exists() for place in step.iterdir() if any(place.glob("*.onnx")))


@pytest.fixture(scope="module")
def new_bucket(s3_server) -> str:
    """A bucket's name."""
    client_of(s3_server).create_bucket(Bucket="smoke-by-the-rules")
    return "smoke-by-the-rules"


@pytest.fixture(scope="module")
def on_a_folder(first_run, s3_server, new_bucket, tmp_path_factory) -> Run:
    """dcclip-full; Kubeflow's own store is a bucket, as on every installation."""
    root, folder = first_run[0], tmp_path_factory.mktemp("folder")
    overrides = PORT_OVERRIDE | {"export_student.num_calibration": 50}
    parameters = RECIPE | {"storage_root": str(root), "overrides": overrides}
    killed = {"export-student": lambda: half_written(root / "store" / "export_student")}
    options = {"kill_when": killed, "whole_as_float": True}
    pipeline_root = f"minio://{new_bucket}/v2/artifacts"
    return runner("dcclip-full", parameters, pipeline_root, s3_server, folder, **options).run()


def test_on_a_folder_every_task_keeps_the_contract(on_a_folder, s3_server):
    check_contract(on_a_folder, client_of(s3_server))


def test_on_a_folder_what_is_done_is_found(on_a_folder):
    anew = ["export_student", "register_student"]
    assert steps_of(on_a_folder, "starts") == anew
    assert steps_of(on_a_folder, "already done") == [step for step in STEPS if step not in anew]


def test_an_attempt_that_was_killed_halfway_is_followed_by_one_that_finishes(on_a_folder):
    assert on_a_folder.failures["export-student"] == ["failed to execute component: signal: killed"]
    first, second = on_a_folder.attempts["export-student"]
    assert first.outputs["onnx"].uri == second.outputs["onnx"].uri
    assert all(len(attempts) == 1 for task, attempts in on_a_folder.attempts.items() if "export" not in task)


def test_an_artifact_is_a_reference(on_a_folder, first_run, s3_server):
    told = content(on_a_folder, "filter-pairs", "pairs", client_of(s3_server))
    assert len(told) < 2_000
    place = places_of(first_run[1])["filter_pairs"]
    metadata = on_a_folder.results.artifacts["filter-pairs"]["pairs"].metadata
    assert (metadata["address"], metadata["identity"]) == (place, Path(place).name)


def test_figures_are_metrics_and_pages_are_pages(on_a_folder, first_run, s3_server):
    results = read_json(Path(places_of(first_run[1])["evaluate_student"]) / "results.json")
    metrics = on_a_folder.results.artifacts["evaluate-student"]["metrics"].metadata
    for model in ("teacher", "student"):
        for lang in ("en", "zh"):
            assert metrics[f"{model}_top1_{lang}"] == pytest.approx(results["models"][model][lang]["top1"])
    filtered = on_a_folder.results.artifacts["filter-pairs"]["metrics"].metadata
    assert filtered["kept"] > 0 and filtered["dropped_not_an_image"] == 6
    assert on_a_folder.results.artifacts["align-student"]["metrics"].metadata["last_loss_alignment"] > 0
    client = client_of(s3_server)
    for name in ("report", "confusions"):
        page = content(on_a_folder, "register-student", name, client)
        assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert "| filter_pairs |" in content(on_a_folder, "select-pairs", "funnel", client)


def test_the_published_version_is_an_artifact_and_training_begins_from_it(
    on_a_folder, first_run, s3_server, new_bucket, tmp_path
):
    version = on_a_folder.results.artifacts["publish-data"]["version"].metadata
    assert (version["number"], version["data_set"]) == (1, "smoke")
    overrides = PORT_OVERRIDE | {"export_student.num_calibration": 50}
    parameters = RECIPE | {"storage_root": str(first_run[0]), "overrides": overrides}
    root = f"s3://{new_bucket}/kfp"
    run = runner("dcclip-train", parameters, root, s3_server, tmp_path, newer=True).run()
    check_contract(run, client_of(s3_server))
    taken = run.results.artifacts["take-data"]
    for name, task in {"raw": "download-pairs", "selection": "select-pairs"}.items():
        made = on_a_folder.results.artifacts[task][name]
        assert taken[name].metadata["address"] == made.metadata["address"]
    training = STEPS[5:]
    logs = [run.log(step.replace("_", "-")) for step in training]
    assert all(f"[{step}] already done" in log for step, log in zip(training, logs, strict=True))


def addresses_on(root: str, configs: dict) -> dict[str, str]:
    """Where the results of a run with this root will be, by step."""
    names: dict[str, str] = {}
    for task in tasks_of(*yaml.safe_load_all(make_package("dcclip-full").text)):
        step = task.name.replace("-", "_")
        if step in STEPS:
            sources = task.spec.get("inputs", {}).get("artifacts", {})
            inputs = {name: names[from_task(source)] for name, source in sources.items()}
            names[step] = result_name(plain(configs[step]), inputs)
    return {step: f"{root}/store/{step}/{name}" for step, name in names.items()}


def from_task(source: dict) -> str:
    """The step that an input comes from."""
    return source["taskOutputArtifact"]["producerTask"].replace("-", "_")


def test_on_a_bucket_to_registration(first_run, bucket, s3, tmp_path):
    """By the rules of a release without ML Metadata, which refuse an output that is not there."""
    corpus, root = first_run[0] / "corpus", f"{bucket}/runs"
    files = [path for path in corpus.rglob("*") if path.is_file() and "images" not in path.parts]
    object_store.upload(
        {path.relative_to(corpus).as_posix(): path for path in files}, f"{root}/corpus", s3, "tests"
    )
    registry = f"sqlite:///{tmp_path}/mlflow.db"
    engines = engine_addresses(root, "local[2]", "", registry, s3)
    configs = resolve_run(choose_recipe("smoke", PORT_OVERRIDE), root, engines, "dcclip-full")
    addresses = addresses_on(root, configs)
    seeded = {step: address for step, address in addresses.items() if step != "register_student"}
    seed_results(places_of(first_run[1]), seeded, configs, whole=READ_BY_REGISTER)
    parameters = RECIPE | {"overrides": PORT_OVERRIDE, "storage_root": root, "s3_endpoint": s3}
    parameters |= {"mlflow_uri": registry}
    run = runner("dcclip-full", parameters, f"{bucket}/kfp", s3, tmp_path / "pods", newer=True).run()
    client = client_of(s3)
    check_contract(run, client)
    assert steps_of(run, "starts") == ["register_student"]
    record = read_record(addresses["register_student"], s3)
    assert (record["facts"]["version"], record["facts"]["alias"]) == (1, "champion")
    page = content(run, "register-student", "report", client)
    assert page.startswith("<!DOCTYPE html>") and "champion" in page
    number = run.results.artifacts["publish-data"]["version"].metadata["number"]
    assert object_store.read_json(f"{root}/datasets/smoke/versions/{number:06.0f}.json", s3)["number"] == 1
    # The keys came by the secret alone, and are in nothing that was written.
    assert not any(SECRET_KEY in run.log(task) for task in run.attempts)
