"""The pipeline as it was, with `output.uri` set to a result's own address, fails as it did on the backend.

Seen on Kubeflow Pipelines 2.17.0 with dcclip-full of November 2026; the two steps here do to their artifacts
what its steps did. KFP's local runner takes all of it.
"""

from pathlib import Path

import boto3
import pytest
from kfp import compiler, dsl

from tests.kfp_backend.runner import RunFailed, Runner

BYTES = 5_000


def component(function):
    return dsl.component(base_image="image", install_kfp_package=False)(function)


@component
def produce(place: str, raw: dsl.Output[dsl.Dataset]):
    """A step of before: its result is at `place`, and its artifact points there."""
    raw.uri = place
    raw.metadata["step"] = "produce"


@component
def consume(raw: dsl.Input[dsl.Dataset]):
    """A step of before: reads the artifact's address."""
    print("the result is at", raw.uri)


@dsl.pipeline(name="old")
def old(place: str):
    """Two steps."""
    consume(raw=produce(place=place).outputs["raw"])


@pytest.fixture
def run_old(bucket, s3, tmp_path):
    """Runs the two steps with the result at a place."""
    file = tmp_path / "old.yaml"
    compiler.Compiler().compile(old, str(file))
    client = boto3.client("s3", endpoint_url=s3)

    def run(place: str, **options):
        root = f"s3://{bucket.removeprefix('s3://')}/kfp"
        return Runner(file.read_text(), {"place": place}, root, client, tmp_path / "pods", **options).run()

    return run


def test_a_folder_ends_the_consumer_before_python(run_old):
    with pytest.raises(RunFailed) as failed:
        run_old("/mnt/dcclip/runs/store/download_pairs/0123")
    assert failed.value.task == "consume"
    assert failed.value.message == (
        "failed to execute component: failed to fetch non default buckets: failed to parse bucketConfig for "
        'output artifact "raw" with uri "/mnt/dcclip/runs/store/download_pairs/0123": parse bucket config '
        'failed: unrecognized uri format: "/mnt/dcclip/runs/store/download_pairs/0123"'
    )
    assert failed.value.run.log("consume") == ""


def test_an_address_outside_the_root_ends_the_producer_after_its_work(run_old, bucket):
    with pytest.raises(RunFailed) as failed:
        run_old(f"{bucket}/runs/store/download_pairs/0123")
    assert failed.value.task == "produce"
    assert failed.value.message.startswith(
        f'failed to execute component: failed to upload output artifact "raw": URI "{bucket}/runs/store/'
        f'download_pairs/0123" does not have expected bucket prefix "{bucket}/kfp/old/'
    )
    assert "Wrote executor output file" in failed.value.run.log("produce")


def test_an_address_below_the_root_makes_the_consumer_fetch_the_whole_result(
    run_old, bucket, s3, monkeypatch
):
    """It runs, and moves every byte of the result into each pod that has it as an input."""
    client = boto3.client("s3", endpoint_url=s3)
    monkeypatch.setattr("uuid.uuid4", lambda: "known")
    key = "kfp/old/known/store/0123"
    for name in ("shards/0.tar", "shards/1.tar"):
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=f"{key}/{name}", Body=b"x" * BYTES)
    run = run_old(f"{bucket}/{key}")
    (attempt,) = run.attempts["consume"]
    assert attempt.downloaded == {"raw": 2 * BYTES}


def test_a_release_without_ml_metadata_drops_a_folder(run_old):
    with pytest.raises(RunFailed) as failed:
        run_old("/mnt/dcclip/runs/store/download_pairs/0123", newer=True)
    assert failed.value.task == "consume"
    assert 'artifact "raw"' in failed.value.message


def test_the_local_runner_takes_it(tmp_path):
    """Why no test has seen it."""
    assert dsl.Dataset(uri=str(tmp_path)).path == str(Path(tmp_path))
