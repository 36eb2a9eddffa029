"""`dcclip promote` and `dcclip rollback`, on a real registry."""

import sys

import mlflow
import pytest

from pipelines.cli import main

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
def dcclip(registry, monkeypatch, capsys):
    """Runs a command, champion 1 and challenger 2; gives (failure or None, what it printed)."""
    root, client = registry
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.set_registered_model_alias(MODEL, "challenger", "2")

    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["dcclip", *arguments, "--root", str(root)])
        failure = None
        try:
            main()
        except SystemExit as end:
            failure = end.code
        return failure, capsys.readouterr().out

    return run


def champion(registry) -> int:
    return int(registry[1].get_model_version_by_alias(MODEL, "champion").version)


def test_the_challenger_is_promoted_and_rolled_back(dcclip, registry):
    failure, printed = dcclip("promote", "--reason", "seen on our pictures")
    assert failure is None
    lines = [line.split() for line in printed.splitlines()]
    assert ["version", "1", "2"] in lines
    assert ["Chinese", "top-1", "20.0%", "25.0%"] in lines
    assert printed.endswith("version 2 is champion now, version 1 was; `dcclip rollback` undoes it\n")
    assert champion(registry) == 2
    tags = registry[1].get_model_version(MODEL, "2").tags
    assert tags["decision"] == "promoted by hand: seen on our pictures"
    failure, printed = dcclip("rollback", "--reason", "too slow")
    assert (failure, champion(registry)) == (None, 1)
    assert printed.endswith("version 1 is champion again, version 2 no more\n")
    assert registry[1].get_model_version(MODEL, "2").tags["rollback_reason"] == "too slow"


def test_a_dry_run_changes_nothing(dcclip, registry):
    failure, printed = dcclip("promote", "--dry-run")
    assert failure is None
    assert "nothing changed" in printed
    assert champion(registry) == 1


def test_figures_of_different_exams_are_said_not_to_compare(dcclip):
    _, printed = dcclip("promote", "--version", "3", "--dry-run")
    assert "different exams" in printed


def test_the_champion_stays_champion(dcclip):
    failure, printed = dcclip("promote", "--version", "1")
    assert failure is None
    assert printed.endswith("version 1 is the champion already\n")


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
def test_what_is_not_there_is_told_in_a_line(dcclip, arguments, message):
    assert dcclip(*arguments)[0] == message


@pytest.mark.parametrize(
    "command, words",
    [
        ("promote", ["--version N", "--dry-run", "the challenger", "--mlflow-uri", "--reason"]),
        ("rollback", ["--reason"]),
    ],
)
def test_help_tells_what_is_done(dcclip, command, words):
    failure, printed = dcclip(command, "--help")
    assert failure == 0
    assert [word for word in words if word not in printed] == []
