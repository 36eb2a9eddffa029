"""The runner's rules, one by one: what Kubeflow Pipelines 2.17.0 takes and refuses, in its words."""

import boto3
import pytest
from google.protobuf import json_format, struct_pb2
from kfp import compiler, dsl, kubernetes

from tests.kfp_backend import addresses
from tests.kfp_backend.addresses import BackendError, Bucket
from tests.kfp_backend.driver import Cluster
from tests.kfp_backend.runner import RunFailed, Runner
from tests.kfp_backend.values import as_value, check_metrics, check_type, plain_json, resolve_resource

ROOT = "minio://mlpipeline/v2/artifacts/dcclip-full/run"


@pytest.mark.parametrize(
    "uri, bucket",
    [
        ("s3://b/p/q", Bucket("s3://", "b")),
        ("minio://mlpipeline/v2", Bucket("minio://", "mlpipeline")),
        ("gs://b", Bucket("gs://", "b")),
    ],
)
def test_an_address_has_a_bucket(uri, bucket):
    assert addresses.parse_artifact(uri) == bucket


@pytest.mark.parametrize(
    "uri, words",
    [
        ("/mnt/dcclip/runs", 'parse bucket config failed: unrecognized uri format: "/mnt/dcclip/runs"'),
        ("", "unrecognized uri format"),
        ("file:///mnt/dcclip", "unsupported Cloud bucket"),
        ("http://host/file", "unsupported Cloud bucket"),
    ],
)
def test_what_is_no_address_is_refused(uri, words):
    with pytest.raises(BackendError, match=words):
        addresses.parse_artifact(uri)


def test_a_key_is_below_the_runs_root_and_never_empty():
    bucket = addresses.parse_root(ROOT)
    assert bucket.prefixed == ROOT
    assert bucket.key_of(f"{ROOT}/step/salt/raw") == "step/salt/raw"
    with pytest.raises(BackendError, match="has empty key"):
        bucket.key_of(f"{ROOT}/")
    with pytest.raises(BackendError, match=f'expected bucket prefix "{ROOT}"'):
        bucket.key_of("s3://dcclip/runs/store")


def test_paths_in_the_container():
    assert addresses.local_path("s3://b/k") == "/s3/b/k"
    assert addresses.local_path("minio://b/k") == "/minio/b/k"
    assert addresses.local_path("/mnt/dcclip") is None


def test_numbers_are_doubles_and_are_written_two_ways():
    value = as_value({"steps": 300, "rate": 0.5, "lists": [1, None]})
    assert plain_json(value) == {"steps": 300, "rate": 0.5, "lists": [1, None]}
    assert type(plain_json(value)["steps"]) is int
    assert type(plain_json(value, whole_as_float=True)["steps"]) is float


def test_a_parameter_is_of_its_type():
    assert check_type("a", "STRING", as_value(3)).string_value == "3"
    with pytest.raises(BackendError, match='parameter "a" type mismatch: expect STRUCT, got string'):
        check_type("a", "STRUCT", as_value("{}"))
    with pytest.raises(BackendError, match='got null for input parameter "a"'):
        check_type("a", "STRUCT", as_value(None))


def test_a_size_may_come_from_another_task_as_text():
    channel = "{{$.inputs.parameters['pipelinechannel--resolve-recipe-cpu']}}"
    given = {"pipelinechannel--resolve-recipe-cpu": as_value("4")}
    assert resolve_resource(channel, given) == "4"
    assert resolve_resource("16Gi", {}) == "16Gi"
    with pytest.raises(BackendError, match="executorInput did not contain"):
        resolve_resource(channel, {})


def test_metrics_of_a_later_release_are_numbers():
    check_metrics("metrics", json_format.ParseDict({"kept": 3}, struct_pb2.Struct()))
    with pytest.raises(BackendError, match='metric value "step" must be a number'):
        check_metrics("metrics", json_format.ParseDict({"step": "filter"}, struct_pb2.Struct()))


def component(function):
    return dsl.component(base_image="image", install_kfp_package=False)(function)


@component
def write(kind: str, out: dsl.Output[dsl.Dataset]) -> dict:
    """A step that does one thing the backend minds, or none."""
    import os
    from pathlib import Path

    if kind == "null":
        out.metadata["score"] = None
    if kind == "nan":
        out.metadata["score"] = float("nan")
    if kind == "fails once" and os.environ["KFP_RETRY_INDEX"] == "0":
        Path(out.path).write_text("half")
        raise SystemExit(3)
    if kind != "nothing":
        Path(out.path).write_text("whole")
    print("variables", sorted(name for name in os.environ if name.startswith(("AWS", "DCCLIP"))))
    return {"environment": os.environ.get("TOKEN", ""), "count": 3}


@component
def read(given: dict, out: dsl.Input[dsl.Dataset]):
    """A step that reads what the other has left."""
    with open(out.path) as file:
        print("read", file.read(), sorted(given.items()), sorted(out.metadata))


@dsl.pipeline(name="two")
def two(kind: str):
    """Both."""
    first = write(kind=kind).set_retry(1)
    kubernetes.use_secret_as_env(first, "mine", {"token": "TOKEN"})
    kubernetes.use_secret_as_env(first, "not-there", {"key": "AWS_SECRET_ACCESS_KEY"}, optional=True)
    read(given=first.outputs["Output"], out=first.outputs["out"])


@pytest.fixture
def run_two(bucket, s3, tmp_path):
    """Runs both steps."""
    file = tmp_path / "two.yaml"
    compiler.Compiler().compile(two, str(file))
    client = boto3.client("s3", endpoint_url=s3)
    secrets = {"mine": {"token": "abc"}}

    def run(kind: str, secrets: dict = secrets, **options):
        root = bucket.replace("s3://", "minio://") + "/v2/artifacts"
        cluster = Cluster(secrets=secrets)
        pods = tmp_path / "pods"
        return Runner(file.read_text(), {"kind": kind}, root, client, pods, cluster, **options).run()

    return run


def test_what_one_step_leaves_the_other_reads(run_two):
    run = run_two("fine")
    assert "read whole [('count', 3), ('environment', 'abc')] ['display_name'," in run.log("read")
    # Of this process's keys nothing is in the pod's environment.
    assert "variables []" in run.log("write")


def test_a_pod_begins_anew_after_a_failure_and_each_has_its_log(run_two):
    run = run_two("fails once")
    assert run.failures["write"] == ["failed to execute component: exit status 3"]
    assert "read whole" in run.log("read")
    logs = [attempt.outputs["executor-logs"].uri for attempt in run.attempts["write"]]
    assert [uri.rpartition("/")[2] for uri in logs] == ["executor-logs-0", "executor-logs-1"]
    first, second = run.attempts["write"]
    assert first.path(first.outputs["out"].uri).read_text() == "half"
    assert first.outputs["out"].uri == second.outputs["out"].uri


@pytest.mark.parametrize(
    "kind, words",
    [
        ("null", "unknown/unsupported value type \\*structpb.Value_NullValue"),
        ("nan", "failed to unmarshall ExecutorOutput in file .* invalid value NaN"),
    ],
)
def test_metadata_that_the_backend_cannot_keep_end_the_step(run_two, kind, words):
    with pytest.raises(RunFailed, match=words) as failed:
        run_two(kind)
    assert failed.value.task == "write"


def test_an_output_that_is_not_written_is_missed_late_or_at_once(run_two):
    with pytest.raises(RunFailed) as failed:
        run_two("nothing")
    assert failed.value.task == "read"
    with pytest.raises(RunFailed, match='declared output artifact "out" is missing at "/minio/') as failed:
        run_two("nothing", newer=True)
    assert failed.value.task == "write"


def test_a_secret_that_is_needed_and_not_there_keeps_the_pod_from_starting(run_two):
    with pytest.raises(RunFailed, match="CreateContainerConfigError: no key token in secret mine"):
        run_two("fine", secrets={})


def test_an_argument_that_the_kernel_does_not_take_fails(run_two):
    with pytest.raises(RunFailed, match="argument list too long"):
        run_two("x" * 140_000)
