"""A deadline: what is in time comes back, what fails fails, and nobody waits for the rest."""

import threading

import pytest

from infra.deadline import within


def test_work_in_time_gives_its_value():
    assert within(10, lambda: 7) == 7


def test_an_error_comes_through():
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 / 0)


def test_work_that_never_ends_is_given_up():
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"not done after 0\.1 seconds"):
        within(0.1, never.wait)
    never.set()
