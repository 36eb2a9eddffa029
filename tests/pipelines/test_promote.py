"""`dcclip promote` and `dcclip rollback`, on a real registry."""

import mlflow
import pytest

MODEL = "dcclip"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """(root, client) of a registry with a champion, a challenger and a version of another exam."""
    root = tmp_path_factory.mktemp("promote")
    uri = f"sqlite:///{root}/mlflow.db"
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model(MODEL)
    for zh, exam in ((0.2, "abc"), (0.25, "abc"), (0.9, "xyz")):
        tags = {"top1_zh": f"{zh:.4f}", "top1_en": "0.3000", "exam_content": exam, "decision": "so it was"}
        client.create_model_version(MODEL, "file:///nowhere", tags=tags)
    return root, client


@pytest.fixture
def decide(dcclip, registry):
    """Runs a command, champion 1 and challenger 2; gives (exit status or message, standard output)."""
    root, client = registry
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.set_registered_model_alias(MODEL, "challenger", "2")
    return lambda *arguments: dcclip(*arguments, "--root", str(root))[:2]


def champion(registry) -> int:
    return int(registry[1].get_model_version_by_alias(MODEL, "champion").version)


def test_the_challenger_is_promoted_and_rolled_back(decide, registry):
    status, out = decide("promote", "--reason", "seen on our pictures")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["version", "1", "2"] in lines
    assert ["Chinese", "top-1", "20.0%", "25.0%"] in lines
    assert out.endswith("version 2 is champion now, version 1 was; `dcclip rollback` undoes it\n")
    assert champion(registry) == 2
    tags = registry[1].get_model_version(MODEL, "2").tags
    assert tags["decision"] == "promoted by hand: seen on our pictures"
    status, out = decide("rollback", "--reason", "too slow")
    assert (status, champion(registry)) == (0, 1)
    assert out.endswith("version 1 is champion again, version 2 no more\n")
    assert registry[1].get_model_version(MODEL, "2").tags["rollback_reason"] == "too slow"


def test_a_dry_run_changes_nothing(decide, registry):
    status, out = decide("promote", "--dry-run")
    assert status == 0
    assert "nothing changed" in out
    assert champion(registry) == 1


def test_figures_of_different_exams_are_said_not_to_compare(decide):
    _, out = decide("promote", "--version", "3", "--dry-run")
    assert "different exams" in out


def test_the_champion_stays_champion(decide):
    status, out = decide("promote", "--version", "1")
    assert status == 0
    assert out.endswith("version 1 is the champion already\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["promote", "--version", "9"], "dcclip: dcclip has no version 9"),
        (["promote", "--model", "other"], "dcclip: other has no challenger; name a version: --version N"),
        (["rollback", "--model", "other"], "dcclip: other has no champion"),
        (
            ["promote", "--mlflow-uri", "sqlite:////nowhere/mlflow.db"],
            "dcclip: there is no registry at /nowhere/mlflow.db; `make run` makes one, --mlflow-uri names "
            "another",
        ),
    ],
)
def test_what_is_not_there_is_told_in_a_line(decide, arguments, message):
    assert decide(*arguments)[0] == message


@pytest.mark.parametrize(
    "command, words",
    [
        ("promote", ["--version N", "--dry-run", "the challenger", "--mlflow-uri", "--reason"]),
        ("rollback", ["--reason"]),
    ],
)
def test_help_tells_what_is_done(decide, command, words):
    status, out = decide(command, "--help")
    assert status == 0
    assert [word for word in words if word not in out] == []
