"""What tests of whole pipelines by the backend's rules share: a runner, a seeded bucket, the contract."""

import math
from pathlib import Path
from typing import Any

import boto3
from google.protobuf import json_format

from infra import object_store
from infra.places import files_url
from infra.store import plain, read_done
from pipelines.server.package import make_package
from tests.kfp_backend.addresses import parse_artifact
from tests.kfp_backend.driver import LOGS, Cluster
from tests.kfp_backend.launcher import CONTAINER
from tests.kfp_backend.runner import Run, Runner
from tests.s3_server import ACCESS_KEY, SECRET_KEY

FIELDS = {"status.podIP": "127.0.0.1", "metadata.name": "step", "metadata.namespace": "kubeflow"}
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
# An argument's limit is 128 KiB; room for what a path of a site adds.
MAX_ARGUMENT_BYTES = 100 * 1024


def client_of(endpoint: str) -> Any:
    """A client of the tests' server."""
    keys = {name.lower(): value for name, value in KEYS.items()}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


def runner(pipeline: str, parameters: dict, root: str, endpoint: str, folder: Path, **options: Any) -> Runner:
    """A shipped pipeline on a namespace that has what infra/README.md asks for.

    The keys of the bucket are in a secret, scratch and home in a config map, and nowhere else.
    """
    own = {"DCCLIP_SCRATCH": f"{CONTAINER}/scratch", "HOME": f"{CONTAINER}/tmp"}
    config_map = own | {"DCCLIP_SCRATCH_GIB": "10"}
    cluster = Cluster({"dcclip-steps": config_map}, {"dcclip-s3": KEYS}, FIELDS)
    text = make_package(pipeline).text
    return Runner(text, parameters, root, client_of(endpoint), folder, cluster, **options)


def seed_results(places: dict[str, str], addresses: dict[str, str], configs: dict, whole: tuple[str, ...]):
    """Lay finished results of a folder into a bucket, as a run with its root there would have left them.

    Args:
        places: the folders by step.
        addresses: where they go.
        configs: the steps' configs, whose values are another root's.
        whole: the steps whose files go too; of the others the record alone.
    """
    for step, address in addresses.items():
        place, endpoint = Path(places[step]), configs[step]["engines"]["s3_endpoint"]
        values = {"values": plain(configs[step]["values"]), "attempt": "seeded"}
        record = read_done(place) | values
        if step in whole:
            files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
            del files["done.json"]
            object_store.upload(files, files_url(address, record), endpoint, "tests")
        assert object_store.write_new_json(f"{address}/done.json", record, endpoint)


def content(run: Run, task: str, name: str, client: Any) -> str:
    """An artifact's file, as Kubeflow's pages fetch it."""
    uri = run.results.artifacts[task][name].uri
    bucket = parse_artifact(uri)
    return client.get_object(Bucket=bucket.name, Key=bucket.key_of(uri))["Body"].read().decode()


def check_contract(run: Run, client: Any) -> None:
    """What every task of every run must keep, beyond what the launcher itself refuses."""
    for task, attempts in run.attempts.items():
        for attempt in attempts:
            assert max(len(word.encode()) for word in attempt.command()) < MAX_ARGUMENT_BYTES, task
        declared = attempts[-1].task.component.get("outputDefinitions", {}).get("artifacts", {})
        made = run.results.artifacts[task]
        assert made.keys() - {LOGS} == declared.keys(), task
        for name, artifact in made.items():
            assert artifact.uri.startswith(f"{run.root}/{task}/"), f"{task} has set {name}'s address"
            assert content(run, task, name, client), f"{task} left {name} empty"
        for name in declared:
            check_metadata(f"{task}.{name}", json_format.MessageToDict(made[name].metadata))


def check_metadata(name: str, metadata: dict[str, Any]) -> None:
    """A few strings and numbers."""
    assert len(metadata) <= 60, name
    for key, value in metadata.items():
        assert isinstance(value, (str, float)), f"{name}: {key} is {value!r}"
        assert isinstance(value, str) or math.isfinite(value), f"{name}: {key} is {value!r}"
        assert len(str(value)) < 1_000, f"{name}: {key} is long"
