"""The log of a data set's versions, and what is decided once; on a disk and in object storage."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.versions import Versions

PLACES = {"download_pairs": "download_pairs/1", "embed_pairs": "embed_pairs/1"}
OTHER = {**PLACES, "embed_pairs": "embed_pairs/2"}


@pytest.fixture(params=["disk", "s3"])
def log(request, tmp_path) -> Versions:
    """An empty log."""
    if request.param == "disk":
        return Versions(str(tmp_path), "emoji")
    return Versions(f"{request.getfixturevalue('bucket')}/runs", "emoji", request.getfixturevalue("s3"))


def test_an_empty_log_has_no_version(log):
    assert (log.numbers(), log.latest(), log.read(1)) == ([], None, None)


def test_versions_are_numbered_and_the_last_is_the_latest(log):
    first, second = log.publish(PLACES, 0, {"pairs": 3}), log.publish(OTHER, 1, {"pairs": 4})
    assert (first.number, second.number, second.base) == (1, 2, 1)
    assert log.latest() == second == log.read(2)
    assert log.read(1).facts == {"pairs": 3}


def test_what_is_published_already_is_found(log):
    first = log.publish(PLACES, 0, {})
    log.publish(OTHER, 1, {})
    assert log.publish(PLACES, 0, {"other": "facts"}) == first
    assert log.numbers() == [1, 2]


def test_who_comes_second_takes_the_next_number(log, monkeypatch):
    """As when another run publishes between the look at the numbers and the write."""
    first, there = log.publish(PLACES, 0, {}), [[], [1]]
    monkeypatch.setattr(Versions, "numbers", lambda self: there.pop(0))
    assert log.publish(OTHER, 0, {}).number == 2
    assert log.read(1) == first


def test_many_that_publish_at_once_get_a_number_each(tmp_path):
    """On a disk alone: the tests' S3 server looks, then writes, and lets two through in the same instant."""
    log = Versions(str(tmp_path), "emoji")

    def publish(number: int):
        return log.publish({"download_pairs": f"download_pairs/{number}"}, 0, {})

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(publish, range(8)))
    assert sorted(version.number for version in found) == log.numbers() == list(range(1, 9))
    assert all(log.read(version.number) == version for version in found)


def test_the_first_decides_for_all(log):
    asked = []

    def choose(number: int):
        asked.append(number)
        return number

    assert log.decide(["lists", 1], lambda: choose(3)) == 3
    assert log.decide(["lists", 1], lambda: choose(4)) == 3
    assert log.decide(["lists", 2], lambda: choose(5)) == 5
    assert asked == [3, 5]


def test_two_that_decide_at_once_agree(tmp_path):
    log = Versions(str(tmp_path), "emoji")
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda number: log.decide("same", lambda: number), range(8)))
    assert len(found) == 1


def test_data_sets_do_not_see_each_other(log):
    log.publish(PLACES, 0, {})
    assert Versions(log.root, "other", log.endpoint).latest() is None
