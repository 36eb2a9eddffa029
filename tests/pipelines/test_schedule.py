"""`dcclip schedule`: one recurring run of a name, whatever was there; a contract test (kfp_server.py)."""

import kfp
import pytest

from tests.pipelines.kfp_server import Backend, Fault, serving

WANTED = (
    "dcclip-full",
    "recipe=full",
    "storage_root=/mnt/nowhere",
    "mlflow_uri=http://mlflow:5000",
    "--set",
    "prepare_teacher.revision=0123abcd0123abcd0123abcd0123abcd0123abcd",
)


@pytest.fixture
def backend(monkeypatch, tmp_path):
    """The memory of a server that the environment names; nothing may be asked that the contract forbids."""
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.delenv("KFP_EXISTING_TOKEN", raising=False)
    backend = Backend()
    with serving(backend) as url:
        monkeypatch.setenv("KFP_ENDPOINT", url)
        yield backend
    assert backend.violations == []


@pytest.fixture
def schedule(dcclip):
    """Runs `dcclip schedule`; gives (exit status or message, standard output)."""
    return lambda *arguments: dcclip("schedule", *arguments)[:2]


def only(items: dict) -> dict:
    """The one value of a dict."""
    (item,) = items.values()
    return item


def test_a_schedule_is_made_as_the_retraining_needs_it(backend, schedule):
    status, out = schedule(*WANTED, "--cron", "0 2 * * SUN")
    assert status == 0
    made = only(backend.recurring_runs)
    # Five fields are read otherwise by the server.
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * SUN"}}
    assert (made["max_concurrency"], made["no_catchup"], made["status"]) == ("1", True, "ENABLED")
    assert made["display_name"] == "dcclip-full"
    version = made["pipeline_version_reference"]["pipeline_version_id"]
    assert version == only(backend.versions)["pipeline_version_id"]
    assert made["runtime_config"]["parameters"]["overrides"] == {
        "prepare_teacher.revision": "0123abcd0123abcd0123abcd0123abcd0123abcd"
    }
    assert "dcclip-full: made\n" in out
    assert "next        Sun " in out


def test_the_same_again_changes_nothing(backend, schedule):
    schedule(*WANTED, "--cron", "@weekly")
    made = only(backend.recurring_runs)
    asked = len(backend.asked)
    status, out = schedule(*WANTED, "--cron", "0 0 * * 0")
    assert status == 0
    assert "nothing to do, it is there as wanted" in out
    assert only(backend.recurring_runs) == made
    assert [name for name in backend.asked[asked:] if "create" in name or "delete" in name] == []


@pytest.mark.parametrize(
    "further, what",
    [
        (["--cron", "0 3 * * *"], "cron"),
        (["--cron", "@weekly", "--set", "distill_student.seed=1"], "parameters"),
        (["--cron", "@weekly", "--pipeline-root", "s3://b/kfp"], "pipeline root"),
        (["--cron", "@weekly", "--service-account", "trainer"], "service account"),
    ],
)
def test_another_one_replaces_it(backend, schedule, further, what):
    schedule(*WANTED, "--cron", "@weekly")
    (old,) = backend.recurring_runs
    status, out = schedule(*WANTED, *further)
    assert status == 0
    assert f"dcclip-full: replaced, for other {what}\n" in out
    assert only(backend.recurring_runs)["recurring_run_id"] != old
    # The new one first: what breaks in between leaves a schedule.
    changes = [
        name for name in backend.asked if name.endswith(("create_recurring_run", "delete_recurring_run"))
    ]
    assert [name.split("_")[3] for name in changes] == ["create", "create", "delete"]


def test_new_code_replaces_it(backend, schedule, monkeypatch):
    schedule(*WANTED, "--cron", "@weekly")
    monkeypatch.setattr("pipelines.server.package.code_version", lambda module: "0123456789ab")
    _, out = schedule(*WANTED, "--cron", "@weekly")
    assert "replaced, for other version\n" in out
    assert len(backend.versions) == 2
    assert only(backend.recurring_runs)["description"].startswith("dcclip-full, code 0123456789ab, image ")


def test_what_broke_half_way_heals(backend, schedule):
    schedule(*WANTED, "--cron", "@weekly")
    delete = "recurring_run_service_delete_recurring_run"
    backend.faults = [Fault(delete, 503, "no healthy upstream", "text/plain")]
    status, _ = schedule(*WANTED, "--cron", "@daily")
    assert "says 503" in str(status)
    assert len(backend.recurring_runs) == 2
    status, out = schedule(*WANTED, "--cron", "@daily")
    assert (status, "nothing to do" in out, "deleted     1 more of that name" in out) == (0, True, True)
    assert only(backend.recurring_runs)["trigger"]["cron_schedule"]["cron"] == "0 0 0 * * *"


def test_a_paused_schedule_stays_paused(backend, schedule):
    schedule(*WANTED, "--cron", "@weekly")
    only(backend.recurring_runs)["status"] = "DISABLED"
    for cron in ("@weekly", "@daily"):
        _, out = schedule(*WANTED, "--cron", cron)
        paused = only(backend.recurring_runs)
        assert paused["status"] == "DISABLED"
        assert f"`kfp recurring-run enable {paused['recurring_run_id']}`" in out


def test_names_keep_schedules_apart_and_list_shows_them(backend, schedule):
    backend.max_page = 1
    assert schedule("--list") == (0, "no schedule in the experiment dcclip\n")
    for name, cron in (("weekly", "@weekly"), ("daily", "30 2 * * *")):
        assert schedule(*WANTED, "--cron", cron, "--name", name)[0] == 0
    status, out = schedule("--list")
    rows = [line.split() for line in out.splitlines()]
    assert status == 0
    assert [(row[0], " ".join(row[1:7])) for row in rows[1:]] == [
        ("weekly", "0 0 0 * * 0"),
        ("daily", "0 30 2 * * *"),
    ]
    assert rows[1][7:9] == ["enabled", "full"]
    assert rows[2][-1] == "02:30:00"


def test_delete_takes_all_of_a_name_and_no_other(backend, schedule):
    for name in ("weekly", "daily"):
        schedule(*WANTED, "--cron", f"@{name}", "--name", name)
    assert schedule("--delete", "weekly") == (0, "deleted     weekly; runs that it has started go on\n")
    assert only(backend.recurring_runs)["display_name"] == "daily"
    status, _ = schedule("--delete", "weekly")
    assert status == "dcclip: there is no schedule 'weekly' in the experiment dcclip; there is daily"


def test_an_experiment_without_schedules_has_nothing_to_delete(backend, schedule):
    status, _ = schedule("--delete", "weekly", "-e", "none")
    assert status == "dcclip: there is no schedule 'weekly' in the experiment none; there is none"


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "give PIPELINE and --cron"),
        (["dcclip-full"], "give PIPELINE and --cron"),
        (["dcclip-full", "--cron", "tomorrow"], "cron 'tomorrow' has 1 fields"),
        (["dcclip-full", "--cron", "@weekly", "recipe=ful"], "there is no recipe 'ful'"),
    ],
)
def test_nothing_is_sent_for_nonsense(backend, schedule, arguments, words):
    status, out = schedule(*arguments)
    assert words in str(status)
    assert (out, backend.asked) == ("", [])
