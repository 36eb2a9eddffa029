"""A shard whose URLs have no answer is not finished, and the reason is told; one with dead links is."""

from types import SimpleNamespace

import pytest

from components import outages
from components.outages import Outage, OutageLimits

LIMITS = OutageLimits(0.5, 0.0)
REFUSED = "<urlopen error [Errno 111] Connection refused>"
NO_FILES = "<urlopen error [Errno 24] Too many open files>"
GONE = "HTTP Error 404: Not Found"


@pytest.mark.parametrize(
    "counts, is_outage",
    [
        ({REFUSED: 6, "success": 4}, True),
        ({REFUSED: 3, NO_FILES: 3, "success": 4}, True),
        ({REFUSED: 5, "success": 5}, False),
        ({GONE: 10}, False),
        ({"server said: Connection reset": 1, GONE: 9}, False),
        ({"<urlopen error [Errno -2] Name or service not known>": 10}, True),
        # Too few to say so.
        ({REFUSED: 3}, False),
    ],
)
def test_a_share_without_an_answer_is_an_outage(counts, is_outage):
    if is_outage:
        with pytest.raises(Outage, match="have no answer, most often: <urlopen error"):
            LIMITS.check(counts, sum(counts.values()))
    else:
        LIMITS.check(counts, sum(counts.values()))


def test_a_shard_is_crawled_again_after_pauses_that_grow(monkeypatch, capsys):
    slept, left = [], [Outage("all"), Outage("all")]
    monkeypatch.setattr(outages, "time", SimpleNamespace(sleep=slept.append))

    def work() -> None:
        if left:
            raise left.pop()

    OutageLimits(0.5, 10.0).waited_out(work, 7)
    assert slept == [5.0, 10.0]
    assert "shard 7: all; it is crawled again in 5 s" in capsys.readouterr().out


def test_it_fails_after_the_last_pause():
    def work() -> None:
        raise Outage("still")

    with pytest.raises(Outage, match="still"):
        LIMITS.waited_out(work, 7)
