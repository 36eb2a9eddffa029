"""The edge to Ray: items mapped by actors, a worker whose failure says why, and losses of the engine."""

import contextlib

import pytest
import ray
from ray import exceptions as losses
from ray.train import ControllerError, WorkerGroupError

from components.step import explain
from infra.engines import EngineGone
from training import ray_edge
from training.objectives import check_terms
from training.ray_edge import await_devices, find_loss, fit, map_items, ray_session


@pytest.fixture(scope="module")
def session():
    with ray_session(""):
        yield


def test_items_are_mapped_by_actors(session):
    class Adder:
        def __init__(self, amount: int):
            self.amount = amount

        def __call__(self, item: dict) -> dict:
            return {"name": item["name"], "sum": item["number"] + self.amount}

    items = [{"name": f"item {number}", "number": number} for number in range(5)]
    found = list(map_items(Adder, {"amount": 10}, items))
    assert sorted(found, key=lambda row: row["name"]) == [
        {"name": f"item {number}", "sum": number + 10} for number in range(5)
    ]


def test_a_worker_that_fails_says_why(session, tmp_path):
    def worker(terms: dict, session) -> None:
        check_terms(terms)

    with pytest.raises(Exception, match="no objective term magic") as caught:
        fit(worker, {"magic": 1.0}, num_workers=1, use_gpu=False, place=tmp_path)
    assert "no objective term magic; there are image_feature" in explain(caught.value)


def test_more_actors_may_be_asked_for_than_there_are_devices(session):
    class Same:
        def __call__(self, item: dict) -> dict:
            return item

    items = [{"number": number} for number in range(8)]
    found = list(map_items(Same, {}, items, max_actors=6))
    assert sorted(row["number"] for row in found) == list(range(8))


def test_a_wait_for_devices_is_said_and_bounded(session, monkeypatch, capsys):
    await_devices("distill_student", 1, use_gpu=False)
    monkeypatch.setattr(ray_edge, "WAITS_SECONDS", (0.1, 0.2))
    with pytest.raises(EngineGone, match="3 GPUs for distill_student were not free .* cluster has 0"):
        await_devices("distill_student", 3, use_gpu=True)
    line = "[distill_student] waits for 3 free GPUs; the Ray cluster has 0 so far\n"
    assert capsys.readouterr().out == 2 * line


def caused(error: Exception, cause: Exception) -> Exception:
    """An error that came from another."""
    error.__cause__ = cause
    return error


UNAVAILABLE = losses.ActorUnavailableError("The actor is temporarily unavailable", None)
DIED = losses.ActorDiedError()


@pytest.mark.parametrize(
    "error, lost",
    [
        (UNAVAILABLE, UNAVAILABLE),
        (DIED, DIED),
        (losses.RaySystemError("System error: Broken pipe"), "RaySystemError"),
        (losses.RpcError("failed to connect"), "RpcError"),
        (losses.NodeDiedError("the node died"), "NodeDiedError"),
        (losses.LocalRayletDiedError(), "LocalRayletDiedError"),
        (ConnectionResetError("reset by peer"), "ConnectionResetError"),
        (WorkerGroupError("rank 0", {0: DIED}), DIED),
        (ControllerError(UNAVAILABLE), UNAVAILABLE),
        (caused(losses.RayTaskError("f", "trace", DIED), DIED), DIED),
        (WorkerGroupError("rank 0", {0: RuntimeError("no objective term magic")}), None),
        (losses.RayTaskError("f", "trace", ValueError("a bad value")), None),
        (ValueError("a bad value"), None),
        # The registry's connection, say: whose step tells of it has told what to do.
        (caused(RuntimeError("the registry is gone"), ConnectionRefusedError("refused")), None),
        (caused(RuntimeError("an own word"), DIED), None),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, Exception) else str(item),
)
def test_a_loss_is_told_from_a_mistake(error, lost):
    found = find_loss(error)
    assert found is lost or type(found).__name__ == lost


def test_an_actor_that_cannot_be_made_is_no_loss(session):
    class Unmakeable:
        def __init__(self):
            raise ValueError("no such teacher")

        def __call__(self, item: dict) -> dict:
            return item

    with pytest.raises(Exception, match="no such teacher") as caught:
        list(map_items(Unmakeable, {}, [{"number": 1}]))
    assert find_loss(caught.value) is None


def test_an_engine_that_goes_away_is_told_as_that_with_what_to_do(monkeypatch):
    for name in ("init", "shutdown"):
        monkeypatch.setattr(ray, name, lambda **_: None)
    words = "the step's own Ray lost a process .ActorDiedError.*more .resources"
    with pytest.raises(EngineGone, match=words), ray_session(""):
        raise DIED
    monkeypatch.setattr(ray_edge, "joined", lambda address: contextlib.nullcontext("10.0.0.1"))
    words = (
        "the Ray cluster at head:6379 lost a part that the step worked with .ActorUnavailableError: The actor"
    )
    with pytest.raises(EngineGone, match=words) as caught, ray_session("head:6379"):
        raise WorkerGroupError("rank 0", {0: UNAVAILABLE})
    assert "run again: what was finished is kept" in explain(caught.value)
    with pytest.raises(ValueError, match="mine"), ray_session("head:6379"):
        raise ValueError("mine")
