"""`dcclip submit --watch` with what a real server has beside the API: reasons, attempts, waiting pods."""

import json
from datetime import UTC, datetime, timedelta

import kfp
import pytest

from pipelines import submit
from pipelines.server import watch
from pipelines.server.package import make_package
from pipelines.server.workflow import attempts_of
from tests.pipelines.kfp_beside import Beside
from tests.pipelines.kfp_server import Backend, serving

WATCH = ("submit", "dcclip-full", "recipe=full", "storage_root=/mnt/nowhere", "mlflow_uri=http://mlflow:5000")
WATCH += (
    "--set",
    "prepare_teacher.revision=0123abcd0123abcd0123abcd0123abcd0123abcd",
    "--watch",
    "--every",
    "0",
)
UNSCHEDULABLE = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."
REASON = "no pair passed the filters; the reasons are above, the thresholds in the recipe"
LOG = f"I1127 launcher\n[filter_pairs] kept 0 of 5\n[filter_pairs] failed: {REASON}\nF1127 exit status 1\n"
ROOT = "minio://mlpipeline/v2/artifacts/dcclip-full/run/filter-pairs/salt/executor-logs"


def node(task: str, number: int, phase: str, message: str = "", seconds_ago: int = 300) -> dict:
    """A pod of a step as Argo's workflow has it."""
    begun = datetime.now(UTC) - timedelta(seconds=seconds_ago - number)
    return {
        "id": f"dcclip-x-{number}{len(task)}",
        "name": f"dcclip-x.root.{task}.executor({number})",
        "templateName": "impl",
        "type": "Pod",
        "phase": phase,
        "message": message,
        "startedAt": begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def driver(task: str) -> dict:
    """What its driver left for a step's pod."""
    given = {"outputs": {"artifacts": {"executor-logs": {"artifacts": [{"uri": ROOT}]}}}}
    patch = {"containers": [{"command": ["/launch", "--executor_input", json.dumps(given)]}]}
    outputs = {"parameters": [{"name": "pod-spec-patch", "value": json.dumps(patch)}]}
    return {"name": f"dcclip-x.root.{task}-driver", "type": "Pod", "phase": "Succeeded", "outputs": outputs}


def nodes(*items: dict) -> dict[str, dict]:
    return {str(number): item for number, item in enumerate(items)}


POD = f"dcclip-x-impl-1{len('filter-pairs')}"
TWICE = nodes(
    driver("filter-pairs"),
    node("filter-pairs", 0, "Failed", "OOMKilled (exit code 137)"),
    node("filter-pairs", 1, "Failed", "Error (exit code 1)"),
)


@pytest.fixture(scope="module")
def package():
    """dcclip-full as it is sent, compiled once."""
    return make_package("dcclip-full")


@pytest.fixture
def backend(monkeypatch, tmp_path, package):
    """A server that says what it is; a look at attempts comes with every question."""
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(submit, "make_package", lambda name: package)
    for name in ("KFP_EXISTING_TOKEN", "KFP_NAMESPACE", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    backend = Backend(beside=Beside(version="2.17.0"))
    with serving(backend) as url:
        monkeypatch.setenv("KFP_ENDPOINT", url)
        yield backend
    assert backend.violations == []


def test_a_failure_is_told_by_the_steps_own_words_while_its_pod_is_there(backend, dcclip):
    backend.failing, backend.beside.nodes, backend.beside.logs = "filter-pairs", TWICE, {POD: LOG}
    status, out, _ = dcclip(*WATCH)
    assert str(status).startswith(f"dcclip: the run failed at 2 Filter pairs: {REASON}; see http://")
    assert (
        "2 Filter pairs         attempt 1 failed: OOMKilled (exit code 137): its log gives no reason" in out
    )
    assert f"2 Filter pairs         attempt 2 failed: Error (exit code 1): {REASON}" in out
    assert out.count("attempt 1 failed") == 1


def test_and_by_its_log_in_kubeflows_store_when_the_pod_is_gone(backend, dcclip):
    backend.failing, backend.beside.nodes = "filter-pairs", TWICE
    backend.beside.artifacts = {f"{ROOT}-1": LOG}
    status, _, _ = dcclip(*WATCH)
    assert str(status).startswith(f"dcclip: the run failed at 2 Filter pairs: {REASON}; see http://")


def test_and_by_the_store_itself_where_this_machine_may_read_it(backend, dcclip, bucket, s3, monkeypatch):
    """The server says nothing of attempts here."""
    import boto3

    backend.failing, backend.beside.version = "filter-pairs", ""
    client = boto3.client("s3", endpoint_url=s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    for number, log in enumerate(("[filter_pairs] failed: at first\n", LOG)):
        # The fourth thing that the server makes is the run.
        key = f"kfp/dcclip-full/run-4/filter-pairs/salt/executor-logs-{number}"
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=key, Body=log.encode())
    status, _, _ = dcclip(*WATCH, "--pipeline-root", f"{bucket}/kfp")
    assert list(backend.runs) == ["run-4"]
    assert str(status).startswith(f"dcclip: the run failed at 2 Filter pairs: {REASON}; see http://")


def test_a_pod_that_no_node_has_room_for_is_told_with_the_schedulers_words(backend, dcclip, monkeypatch):
    monkeypatch.setattr(watch.Attempt, "waits", lambda attempt, seconds: True)
    backend.beside.nodes = nodes(node("download-pairs", 0, "Pending", UNSCHEDULABLE))
    status, out, _ = dcclip(*WATCH)
    assert status == 0
    assert out.count(f"1 Download pairs       waits for its pod: {UNSCHEDULABLE}") == 1


@pytest.mark.parametrize("seconds, told", [(59, False), (61, True)])
def test_it_is_told_after_a_minute(seconds, told):
    workflow = {"metadata": {"name": "x"}}
    pending = node("download-pairs", 0, "Pending", UNSCHEDULABLE, seconds)
    (attempt,) = attempts_of(workflow | {"status": {"nodes": nodes(pending)}})
    assert attempt.waits(60) is told


def test_how_far_a_step_is_is_what_it_said_last(backend, dcclip):
    backend.beside.nodes = nodes(node("filter-pairs", 1, "Running"))
    backend.beside.logs = {POD: "[filter_pairs] starts\n[filter_pairs] rows 3/9 2.0it/s\nnoise\n"}
    status, out, _ = dcclip(*WATCH)
    assert status == 0
    assert out.count("2 Filter pairs         rows 3/9 2.0it/s") == 1
    assert "starts" not in out


def test_a_release_without_task_details_is_followed_by_its_tasks(backend, dcclip):
    backend.beside.later = True
    status, out, _ = dcclip(*WATCH)
    assert status == 0
    told = [line.split(" ", 1)[1].strip() for line in out.splitlines() if line[2:3] == ":"]
    assert sum(line.endswith("succeeded") for line in told) == 12
    assert told[-1] == "12/12 10 Register student    succeeded"


def test_a_failure_there_has_the_servers_reason(backend, dcclip):
    backend.beside.later, backend.failing = True, "filter-pairs"
    status, _, _ = dcclip(*WATCH)
    assert str(status).startswith(
        "dcclip: the run failed at 2 Filter pairs: Error (exit code 1); see http://"
    )


def test_a_server_without_the_older_half_is_followed_all_the_same(backend, dcclip, monkeypatch):
    monkeypatch.setattr(Beside, "answer", lambda self, path: '{"code": 5, "message": "Not Found"}')
    status, out, _ = dcclip(*WATCH)
    assert status == 0
    assert out.splitlines()[-1].startswith("succeeded")
