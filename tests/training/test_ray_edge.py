"""The edge to Ray: items mapped by actors, and a worker whose failure says why."""

import pytest

from components.step import explain
from infra.engines import EngineGone
from training import ray_edge
from training.objectives import check_terms
from training.ray_edge import await_devices, fit, map_items, ray_session


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
