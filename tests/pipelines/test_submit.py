"""`dcclip submit` and the stock `kfp run submit`, against an API that holds every request to its contract.

A contract test: the requests are those that kfp_server_api allows and the answers those it expects. No
Kubernetes runs anything here (kfp_server.py).
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import kfp
import kfp_server_api
import pytest

from pipelines import submit as submission
from pipelines.catalogue import PIPELINES
from pipelines.resources import PLACEMENTS
from pipelines.server import watch
from pipelines.server.package import Package, make_package
from tests.pipelines.kfp_server import Backend, Fault, serving

PARAMETERS = (
    "recipe=full",
    "storage_root=/mnt/nowhere",
    "spark_master=spark://spark:7077",
    "ray_address=ray:6379",
    "mlflow_uri=http://mlflow:5000",
)
PINNED = ("--set", "prepare_teacher.revision=0123abcd0123abcd0123abcd0123abcd0123abcd")
LAST = "register-student"


@pytest.fixture
def backend():
    """The server's memory; at the end nothing may have been asked that the contract forbids."""
    backend = Backend()
    yield backend
    assert backend.violations == []


@pytest.fixture
def endpoint(backend, monkeypatch, tmp_path):
    """Where that server is, in the environment too; nothing of this machine's own settings counts."""
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    for name in ("KFP_EXISTING_TOKEN", "KFP_NAMESPACE", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with serving(backend) as url:
        monkeypatch.setenv("KFP_ENDPOINT", url)
        yield url


@pytest.fixture(scope="module")
def package() -> Package:
    """dcclip-full as it is sent."""
    return make_package("dcclip-full")


def only(items: dict) -> dict:
    """The one value of a dict."""
    (item,) = items.values()
    return item


def test_the_stock_command_runs_the_compiled_pipeline(backend, endpoint, package, tmp_path):
    file = tmp_path / "dcclip-full.yaml"
    file.write_text(package.text)
    revision = "0123abcd0123abcd0123abcd0123abcd0123abcd"
    overrides = f'overrides={{"distill_student.seed": 1, "prepare_teacher.revision": "{revision}"}}'
    command = [Path(sys.executable).with_name("kfp"), "--endpoint", endpoint, "run", "submit", "-e", "dcclip"]
    done = subprocess.run(
        [*command, "-f", file, *PARAMETERS, overrides], capture_output=True, text=True, check=True
    )
    run = only(backend.runs)
    assert f"{endpoint}/#/runs/details/{run['run_id']}" in done.stdout
    assert only(backend.experiments)["display_name"] == "dcclip"
    parameters = run["runtime_config"]["parameters"]
    assert parameters["overrides"] == {
        "distill_student.seed": 1,
        "prepare_teacher.revision": "0123abcd0123abcd0123abcd0123abcd0123abcd",
    }
    assert parameters["recipe"] == "full"
    assert run["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "dcclip-full"


def test_a_recipes_kind_of_gpu_needs_no_other_file(backend, endpoint, dcclip, package):
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--set", "gpu=h100")[0] == 0
    assert only(backend.versions)["pipeline_spec"] == package.spec
    assert only(backend.runs)["runtime_config"]["parameters"]["overrides"]["gpu"] == "h100"


def test_submit_uploads_and_runs(backend, endpoint, dcclip, package):
    status, out, err = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--run-name", "mine")
    assert status == 0
    run, version = only(backend.runs), only(backend.versions)
    assert version["display_name"] == package.version
    assert version["display_name"].startswith(f"{package.code}-")
    assert version["pipeline_spec"] == package.spec
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    assert run["display_name"] == "mine"
    assert run["runtime_config"]["parameters"] == {
        **dict(word.split("=", 1) for word in PARAMETERS),
        "overrides": {"prepare_teacher.revision": "0123abcd0123abcd0123abcd0123abcd0123abcd"},
    }
    assert only(backend.experiments)["display_name"] == "dcclip"
    assert f"see         {endpoint}/#/runs/details/{run['run_id']}\n" in out
    assert "/mnt/nowhere is not mounted here: lists/wukong" in err


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_of_the_catalogue_can_be_sent(name, dcclip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dcclip("compile", name) == (0, f"wrote dist/{name}.yaml\n", "")
    package = make_package(name)
    assert package.text == Path("dist", f"{name}.yaml").read_text()
    assert package.spec["pipelineInfo"]["name"] == name
    assert package.tasks.keys() <= PLACEMENTS.keys()
    assert package.version.startswith(f"{package.code}-")


def test_compile_knows_no_other_pipeline(dcclip):
    status, _, _ = dcclip("compile", "dcclip-ful")
    assert status == "dcclip: there is no pipeline 'dcclip-ful'; choose one of " + ", ".join(PIPELINES)


def test_a_second_submit_finds_version_and_experiment_there(backend, endpoint, dcclip):
    for _ in range(2):
        status, out, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
        assert status == 0
    assert "was there already" in out
    assert [len(kept) for kept in (backend.pipelines, backend.versions, backend.experiments)] == [1, 1, 1]
    assert len(backend.runs) == 2


def test_options_and_parameters_come_in_any_order(backend, endpoint, dcclip):
    status, _, _ = dcclip(
        "submit", *PINNED, "dcclip-full", "recipe=full", "-e", "other", "mlflow_uri=", "--service-account=me"
    )
    assert status == 0
    assert only(backend.experiments)["display_name"] == "other"
    assert only(backend.runs)["service_account"] == "me"
    assert only(backend.runs)["runtime_config"]["parameters"]["mlflow_uri"] == ""


def test_another_image_is_another_version(package):
    other = Package(
        package.name, package.text.replace(package.images[0], "other/dcclip-python:1"), package.code
    )
    assert other.code == package.code
    assert other.version != package.version
    assert make_package("dcclip-full").version == package.version


def test_what_is_there_is_found_on_later_pages(backend, endpoint, dcclip, package):
    backend.max_page = 1
    for name in ("a", "b", "dcclip-full"):
        made = backend.pipeline_service_create_pipeline({"display_name": name})
        backend.add_version(made["pipeline_id"], "some", package.spec, {})
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)[0] == 0
    assert len(backend.pipelines) == 3
    assert only(backend.runs)["pipeline_version_reference"]["pipeline_id"] == made["pipeline_id"]


def test_two_who_submit_at_once_share_a_version(backend, endpoint, dcclip):
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)[0] == 0
    # The other made both after we had looked.
    backend.faults = [
        Fault("pipeline_service_list_pipelines", 200, "{}"),
        Fault("pipeline_service_list_pipeline_versions", 200, "{}"),
    ]
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)[0] == 0
    assert [len(backend.pipelines), len(backend.versions), len(backend.runs)] == [1, 1, 2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["dcclip-ful"], "there is no pipeline 'dcclip-ful'; choose one of dcclip-full"),
        (["dcclip-full", "recipe=ful"], "there is no recipe 'ful'; choose one of demo, smoke, full"),
        (["dcclip-full", "recipe=full"], "BAAI/AltCLIP comes from a hub and is not pinned"),
        (
            ["dcclip-full", "recipe=full", "colour=red"],
            "dcclip-full has no parameter 'colour'; it has mlflow_uri",
        ),
        (["dcclip-full", "recipe=full", "overrides=3"], "overrides='3' should be a JSON object"),
        (["dcclip-full", "recipe=full", "overrides={"], "overrides='{' should be a JSON object: "),
        (["dcclip-full", "recipe=full", "--set", "a.b=1"], "the recipe has no value 'a.b'"),
        (
            ["dcclip-full", "recipe=full", "--set", "align_student.seed=x"],
            "align_student.seed='x' is no value",
        ),
        (["dcclip-full", "recipe=full", "storage_root=out"], "give a folder that every pod mounts"),
        (["dcclip-full", "recipe=full", "spark_master=spark"], "give spark://HOST:PORT"),
        (["dcclip-full", "recipe=full", "ray_address=ray"], "give its head's HOST:PORT"),
        (["dcclip-full", "recipe=full", "ray_address=ray://ray:10001"], "give its head's HOST:PORT"),
        (["dcclip-full", "recipe=full", "mlflow_uri=mlflow:5000"], "give http://HOST:PORT"),
        (["dcclip-full", "recipe=full", "s3_endpoint=minio"], "give http://HOST:PORT"),
        (
            ["dcclip-full", "recipe=full", *PINNED, "storage_root=s3://b/p"],
            "cannot hold the registry's database",
        ),
        (["dcclip-full", "recipe=full", *PINNED, "storage_root={here}"], "{here}/lists/wukong is not there"),
    ],
)
def test_nothing_is_sent_that_cannot_work(backend, endpoint, dcclip, tmp_path, arguments, message):
    arguments = [word.replace("{here}", str(tmp_path)) for word in arguments]
    status, out, _ = dcclip("submit", *arguments)
    assert str(status).startswith("dcclip: ")
    assert message.replace("{here}", str(tmp_path)) in status
    assert "\n" not in status
    assert (out, backend.asked) == ("", [])


@pytest.mark.parametrize("recipe", ["demo", "smoke"])
@pytest.mark.parametrize("root", ["/mnt/nowhere", "{here}", "s3://no-such-bucket/runs"])
def test_the_demo_runs_on_a_cluster_with_nothing_prepared(
    backend, endpoint, dcclip, tmp_path, recipe, root, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    words = (
        f"recipe={recipe}",
        f"storage_root={root.replace('{here}', str(tmp_path))}",
        "mlflow_uri=http://m:5000",
    )
    status, _, err = dcclip("submit", "dcclip-full", *words)
    assert status == 0
    assert "corpus/" not in err and "looked for" not in err
    assert only(backend.runs)["runtime_config"]["parameters"]["recipe"] == recipe


def test_a_list_of_ones_own_in_the_demo_is_looked_for(backend, endpoint, dcclip, tmp_path):
    own = ("--set", "download_pairs.lists.0.path=lists/own.csv")
    status, _, _ = dcclip("submit", "dcclip-full", *own, f"storage_root={tmp_path}")
    assert f"{tmp_path}/lists/own.csv is not there" in str(status)
    status, _, err = dcclip("submit", "dcclip-full", *own, "storage_root=/mnt/nowhere")
    assert status == 0
    assert "/mnt/nowhere is not mounted here: lists/own.csv are looked for by the run" in err


def test_lists_that_are_there_pass(backend, endpoint, dcclip, tmp_path):
    for name in ("lists/wukong", "exams/gate", "exams/elevater"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lists" / "cc12m.tsv").write_text("a list")
    status, _, err = dcclip("submit", "dcclip-full", "recipe=full", *PINNED, f"storage_root={tmp_path}")
    assert status == 0
    assert "lists/wukong" not in err


@pytest.mark.parametrize("word", ["mlflow_uri=http://localhost:5000", "ray_address=127.0.0.1:6379"])
def test_an_address_of_this_machine_is_told(backend, endpoint, dcclip, word):
    _, _, err = dcclip("submit", "dcclip-full", "recipe=full", *PINNED, word)
    assert f"note: {word} is this machine to us" in err


def test_a_token_lets_in(backend, endpoint, dcclip, monkeypatch):
    backend.token = "secret"
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
    assert "says 401: Unauthenticated" in str(status)
    assert "KFP_EXISTING_TOKEN" in str(status)
    monkeypatch.setenv("KFP_EXISTING_TOKEN", "secret")
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)[0] == 0


def test_a_server_of_several_users_wants_a_namespace(backend, endpoint, dcclip):
    backend.multi_user = True
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
    assert status == f"dcclip: {endpoint} has several users: name your namespace with --namespace"
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--namespace", "mine")[0] == 0
    assert {only(backend.pipelines)["namespace"], only(backend.experiments)["namespace"]} == {"mine"}


LOGIN = "<!DOCTYPE html><html><title>Sign in</title></html>"
GONE = "Failed to create a run: ResourceNotFoundError: Experiment a not found"
GO_TRACE = "Internal error: Unauthenticated: no user identity header\n/go/src/github.com/kubeflow/pipelines/…"


@pytest.mark.parametrize(
    "fault, words",
    [
        (Fault("run_service_create_run", 404, json.dumps({"message": GONE, "code": 5})), f"says 404: {GONE}"),
        (
            Fault("healthz_service_get_healthz", 200, LOGIN, "text/html"),
            "answers with a page, most often that",
        ),
        (
            Fault("healthz_service_get_healthz", 404, LOGIN, "text/html"),
            "says 404: Not Found; check --endpoint",
        ),
        (
            Fault("healthz_service_get_healthz", 403, "RBAC: access denied", "text/plain"),
            "says 403: RBAC: access",
        ),
        (
            Fault("healthz_service_get_healthz", 500, json.dumps({"error": GO_TRACE, "code": 13})),
            "says 401: Inter",
        ),
        (
            Fault("pipeline_service_list_pipelines", 503, "no healthy upstream", "text/plain"),
            "that is the server's",
        ),
        (
            Fault("upload_pipeline_version", 413, json.dumps({"error_message": "too large"})),
            "says 413: too large",
        ),
        (
            Fault("experiment_service_create_experiment", 409, '{"message": "taken", "code": 6}'),
            "run the same",
        ),
        (Fault("run_service_create_run", 400, '{"message": "bad input", "code": 3}'), "says 400: bad input"),
    ],
)
def test_what_the_server_refuses_is_one_line(backend, endpoint, dcclip, fault, words):
    backend.faults = [fault]
    fault.times = 9
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
    assert str(status).startswith(f"dcclip: {endpoint} ")
    assert words in str(status)
    assert ("check --endpoint" in str(status)) == ("<html" in fault.body)
    assert "\n" not in str(status)
    assert backend.runs == {}


@pytest.mark.parametrize(
    "address, words", [("http://127.0.0.1:1", "Connection refused"), ("http://x.invalid", "x.i")]
)
def test_a_server_that_is_not_there_is_told(dcclip, address, words):
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--endpoint", address)
    assert str(status).startswith(f"dcclip: cannot reach Kubeflow Pipelines at {address}: ")
    assert words in str(status)


def test_without_a_server_it_says_how_to_name_one(dcclip, monkeypatch, tmp_path):
    for name in ("KFP_ENDPOINT", "KF_PIPELINES_ENDPOINT", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
    assert "no Kubeflow Pipelines server is named: give --endpoint URL" in str(status)


def test_a_connection_that_breaks_may_have_made_a_run(backend, endpoint, dcclip):
    backend.faults = [Fault("run_service_create_run", 0, "")]
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)
    assert str(status).startswith(f"dcclip: the connection to {endpoint} broke: ")
    assert "look at what is there before you try again: `kfp run list`" in str(status)
    # Not asked a second time, which would be a second run.
    assert backend.asked.count("run_service_create_run") == 1


@pytest.mark.filterwarnings("ignore:This client only works")
def test_what_the_stock_client_uploaded_is_found(backend, endpoint, dcclip, package, tmp_path):
    file = tmp_path / "dcclip-full.yaml"
    file.write_text(package.text)
    client = kfp.Client(endpoint)
    client.upload_pipeline(str(file), package.name)
    with pytest.raises(kfp_server_api.ApiException, match="Failed to create a pipeline"):
        client.upload_pipeline(str(file), package.name)
    assert dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED)[0] == 0
    assert len(backend.pipelines) == 1
    assert [item["name"] for item in backend.versions.values()] == [package.name, package.version]
    (run_id,) = backend.runs
    assert client.wait_for_run_completion(run_id, timeout=3_600, sleep_duration=0).state == "SUCCEEDED"


def test_watch_tells_each_step_until_the_end(backend, endpoint, dcclip, package):
    status, out, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--watch", "--every", "0")
    assert status == 0
    told = [line.split(" ", 1)[1].strip() for line in out.splitlines() if line[2:3] == ":"]
    assert told[:3] == ["run pending", "run running", "0/12 Resolve the recipe     running"]
    assert told[-1] == "12/12 10 Register student    succeeded"
    assert sum(line.endswith("succeeded") for line in told) == len(package.tasks) == 12
    assert out.splitlines()[-1].startswith("succeeded in ")


def test_watch_names_the_step_that_failed(backend, endpoint, dcclip):
    backend.failing = "filter-pairs"
    status, out, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--watch", "--every", "0")
    assert "2/12 2 Filter pairs         failed" in out
    assert str(status).startswith(
        "dcclip: the run failed at 2 Filter pairs: Error (exit code 1); see http://"
    )


def attempts(dcclip, number: int, *options: str):
    """(status, what was printed) of a submission that may be repeated."""
    words = ("--watch", "--every", "0", "--attempts", str(number), *options)
    return dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, *words)[:2]


def test_a_run_that_failed_is_submitted_again(backend, endpoint, dcclip, monkeypatch):
    backend.failing, start = "filter-pairs", submission._start

    def start_and_mend(*arguments):
        backend.failing = "filter-pairs" if not backend.runs else ""
        return start(*arguments)

    monkeypatch.setattr(submission, "_start", start_and_mend)
    status, out = attempts(dcclip, 3)
    assert (status, len(backend.runs)) == (0, 2)
    assert "the run failed at 2 Filter pairs" in out
    assert "submitting again, 2 of 3 runs left; what is done is found" in out
    first, second = (run["runtime_config"]["parameters"] for run in backend.runs.values())
    assert first == second


def test_it_is_not_submitted_for_ever(backend, endpoint, dcclip):
    backend.failing = "filter-pairs"
    status, _ = attempts(dcclip, 2)
    assert str(status).startswith("dcclip: the run failed at 2 Filter pairs")
    assert len(backend.runs) == 2


@pytest.mark.parametrize("words", [("--attempts", "2"), ("--attempts", "0", "--watch")])
def test_attempts_need_a_watch_and_a_number(backend, endpoint, dcclip, words):
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, *words)
    assert "--attempts is a number from 1 on, and more than one needs --watch" in str(status)
    assert backend.asked == []


def test_watch_outlasts_a_restart_of_the_server(backend, endpoint, dcclip):
    backend.faults = [Fault("run_service_get_run", 503, "no healthy upstream", "text/plain", times=3)]
    status, out, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--watch", "--every", "0")
    assert status == 0
    assert out.splitlines()[-1].startswith("succeeded")


@pytest.mark.parametrize("status_code, times", [(401, 1), (503, 5)])
def test_watch_gives_up_without_the_run(backend, endpoint, dcclip, monkeypatch, status_code, times):
    monkeypatch.setattr(watch, "MAX_FAILURES", 5)
    backend.faults = [Fault("run_service_get_run", status_code, '{"message": "no"}', times=times)]
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--watch", "--every", "0")
    assert f"says {status_code}: no; " in str(status)
    assert f"The run itself goes on; look with `kfp run get {only(backend.runs)['run_id']}`" in str(status)
    assert backend.asked.count("run_service_get_run") == times


def test_an_interrupt_ends_the_watching_alone(backend, endpoint, dcclip, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    status, _, _ = dcclip("submit", "dcclip-full", *PARAMETERS, *PINNED, "--watch")
    assert "no longer watching; the run goes on" in str(status)


@pytest.mark.parametrize(
    "verb, path, body, words",
    [
        ("POST", "/apis/v2beta1/runs", {"display_name": "a", "colour": "red"}, "body has no colour"),
        ("POST", "/apis/v2beta1/runs", {"run_id": "a"}, "body.run_id is for the server to say"),
        (
            "POST",
            "/apis/v2beta1/runs",
            {"runtime_config": {"parameters": 1}},
            "body.runtime_config.parameters is 1",
        ),
        ("POST", "/apis/v2beta1/recurringruns", {"mode": "ON"}, "body.mode is 'ON', no RecurringRunMode"),
        ("GET", "/apis/v2beta1/runs?colour=red", None, "takes no query colour"),
        ("PUT", "/apis/v2beta1/runs", {}, "no operation PUT"),
        ("GET", "/apis/v1beta1/runs", None, "no operation GET"),
        ("POST", "/apis/v2beta1/pipelines/upload_version?name=a", {}, "takes one file uploadfile"),
    ],
)
def test_the_contract_is_held(verb, path, body, words):
    backend = Backend()
    content = json.dumps(body).encode() if body is not None else None
    with serving(backend) as url:
        request = urllib.request.Request(
            url + path, content, {"Content-Type": "application/json"}, method=verb
        )
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request)
    assert refusal.value.code == 400
    assert words in json.load(refusal.value)["message"]
    assert [violation for violation in backend.violations if words in violation] != []
