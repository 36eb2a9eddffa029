"""Who is champion: one of two that finish together, by hand and back, and a lock that outlives its holder."""

import subprocess
import sys

import mlflow
import pytest

from training import champion, registry_lock
from training.champion import NoSuchVersion, by_alias, number_of, promote, rollback, settle
from training.gate import Decision

MODEL = "dcclip"
YES, NO = Decision(True, "better"), Decision(False, "worse")


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    """An empty registry; making its tables takes the most of these tests' time."""
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


@pytest.fixture
def client(database):
    """A registry with three versions of a model and no champion."""
    client = mlflow.MlflowClient(database, database)
    client.create_registered_model(MODEL)
    for _ in range(3):
        client.create_model_version(MODEL, "file:///nowhere")
    yield client
    client.delete_registered_model(MODEL)


def standing(client) -> tuple[str | None, str | None]:
    """(champion, challenger)"""
    return tuple(number_of(by_alias(client, MODEL, alias)) for alias in ("champion", "challenger"))


def test_a_version_becomes_champion_or_challenger(client):
    assert settle(client, MODEL, "1", lambda champion: YES) == YES
    assert settle(client, MODEL, "2", lambda champion: NO) == NO
    assert standing(client) == ("1", "2")
    assert client.get_model_version(MODEL, "2").tags == {"decision": "worse"}
    tags = client.get_model_version(MODEL, "1").tags
    assert (tags["decision"], tags["previous_champion"], tags["promoted_by"]) == ("better", "", "the gate")


def test_a_champion_that_asks_again_stays_without_a_comparison(client):
    settle(client, MODEL, "1", lambda champion: YES)
    assert settle(client, MODEL, "1", lambda champion: pytest.fail("compared")) == YES


def test_a_champion_that_changes_meanwhile_is_compared_with_again(client):
    seen = []

    def compare(found):
        seen.append(number_of(found))
        if len(seen) == 1:
            promote(client, MODEL, "3", "meanwhile")
            return YES
        return NO

    settle(client, MODEL, "2", compare)
    assert seen == [None, "3"]
    assert standing(client) == ("3", "2")


RACE = """
import sys
import mlflow
from training.champion import settle
from training.gate import Decision

client = mlflow.MlflowClient(sys.argv[1], sys.argv[1])
waited = []

def compare(champion):
    if not waited:
        waited.append(print("compared", flush=True) or sys.stdin.readline())
    version = champion.version if champion else None
    return Decision(str(version) == "1", f"compared with {version}")

print("promoted", settle(client, "dcclip", sys.argv[2], compare).promote)
"""


def test_of_two_processes_that_finish_together_one_wins(client, database):
    settle(client, MODEL, "1", lambda champion: YES)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", RACE, database, n], **pipes) for n in ("2", "3")]
    # Both have compared with version 1, and would replace it, before either may go on.
    assert [racer.stdout.readline() for racer in racers] == ["compared\n"] * 2
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    outcome = [racer.communicate(timeout=500)[0].split()[1] for racer in racers]
    assert sorted(outcome) == ["False", "True"]
    winner, loser = ("2", "3") if outcome[0] == "True" else ("3", "2")
    assert standing(client) == (winner, loser)
    assert client.get_model_version(MODEL, loser).tags["decision"] == f"compared with {winner}"


def test_a_person_promotes_and_rolls_back(client):
    settle(client, MODEL, "1", lambda champion: YES)
    settle(client, MODEL, "2", lambda champion: NO)
    promote(client, MODEL, "2", "better on our own pictures")
    assert standing(client) == ("2", None)
    tags = client.get_model_version(MODEL, "2").tags
    assert tags["decision"] == "promoted by hand: better on our own pictures"
    assert tags["previous_champion"] == "1" and "@" in tags["promoted_by"]
    assert rollback(client, MODEL, "too slow") == ("2", "1")
    assert standing(client) == ("1", None)
    tags = client.get_model_version(MODEL, "2").tags
    assert tags["rollback_reason"] == "too slow" and "@" in tags["rolled_back_by"]
    # The gate leaves it there, were it asked again; a person may bring it back.
    assert settle(client, MODEL, "2", lambda champion: YES).reason.endswith("rolled it back: too slow")
    assert standing(client) == ("1", "2")
    promote(client, MODEL, "2", "faster now")
    assert standing(client) == ("2", None)
    assert "rolled_back_by" not in client.get_model_version(MODEL, "2").tags


def test_rolling_back_twice_goes_two_steps(client):
    for number in ("1", "2", "3"):
        promote(client, MODEL, number, "so")
    assert [rollback(client, MODEL, "") for _ in range(2)] == [("3", "2"), ("2", "1")]
    with pytest.raises(NoSuchVersion, match="version 1 of dcclip replaced nobody"):
        rollback(client, MODEL, "")


def test_nobody_comes_back_where_nobody_was(client):
    with pytest.raises(NoSuchVersion, match="has no champion"):
        rollback(client, MODEL, "")


def test_a_predecessor_that_was_deleted_does_not_come_back(client):
    promote(client, MODEL, "1", "so")
    promote(client, MODEL, "2", "so")
    client.delete_model_version(MODEL, "1")
    with pytest.raises(NoSuchVersion, match="has no version 1"):
        rollback(client, MODEL, "")
    assert standing(client)[0] == "2"


def test_a_model_nobody_registered_has_no_champion(client):
    assert by_alias(client, "somebody", champion.CHAMPION) is None


def test_a_lock_is_there_while_it_is_held(client):
    with registry_lock.locked(client, MODEL) as lock:
        assert lock.still_held()
        assert registry_lock.holder_of(client, "dcclip.lock") == lock.token
    assert registry_lock.holder_of(client, "dcclip.lock") is None


def test_a_lock_left_by_the_dead_is_broken(client):
    client.create_registered_model("dcclip.lock", tags={"holder": "somebody dead"})
    with registry_lock.locked(client, MODEL, lease_seconds=0.3) as lock:
        assert lock.still_held()


def test_a_slow_holder_finds_out_that_its_lock_was_broken(client):
    with registry_lock.locked(client, MODEL) as slow:
        with registry_lock.locked(client, MODEL, lease_seconds=0.1) as other:
            assert not slow.still_held()
        assert not other.still_held()
