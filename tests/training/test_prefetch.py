"""Batches come in order, made ahead of their use, and an error comes where its batch would have."""

import threading

import pytest

from training.prefetch import DEPTH, Prefetched


def test_batches_come_in_order_from_another_thread():
    makers = []

    def make(step: int) -> dict:
        makers.append(threading.current_thread())
        return {"number": step * 10}

    found = list(Prefetched(make, range(3, 8)))
    assert found == [(step, {"number": step * 10}) for step in range(3, 8)]
    assert threading.current_thread() not in makers


def test_a_bounded_number_is_made_ahead():
    made = []
    batches = iter(Prefetched(lambda step: made.append(step) or {}, range(100)))
    next(batches)
    next(batches)
    assert len(made) <= 2 + DEPTH


def test_an_error_comes_with_its_batch():
    def make(step: int) -> dict:
        if step == 2:
            raise ValueError("batch 2")
        return {}

    found = []
    with pytest.raises(ValueError, match="batch 2"):
        for step, _ in Prefetched(make, range(5)):
            found.append(step)
    assert found == [0, 1]


def test_waiting_is_measured():
    gate = threading.Event()
    threading.Timer(0.05, gate.set).start()
    batches = Prefetched(lambda step: {"waited": gate.wait(5)}, range(1))
    assert [batch["waited"] for _, batch in batches] == [True]
    assert batches.waited_seconds > 0


def test_no_steps_no_batches():
    assert list(Prefetched(lambda step: {}, range(0))) == []
