"""What our network, name server or limits did wrong is no fact about URLs: such a shard is crawled again.

A dead link is a fact, and lists of strangers have many. When most rows of a shard have no answer at all, the
likelier cause is on this side: the shard is not called finished, but crawled again after a pause, and after
the last pause it fails. Rows that were lost in a shorter outage are tried again by the recipe's retry rounds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.console import say
from infra.crawl_reasons import UNANSWERED_REASONS, reason_of

# Pauses before a shard is begun again; the recipe's `max_pause_seconds` bounds each.
PAUSES_SECONDS = (5.0, 20.0, 60.0)
# With fewer rows without an answer a share says nothing.
MIN_UNANSWERED = 4


class Outage(Exception):
    """Most URLs of a shard have no answer."""


@dataclass(frozen=True)
class OutageLimits:
    """The share of a shard's rows that may have no answer, and how long a pause may be."""

    max_share: float
    max_pause_seconds: float

    def check(self, counts: Mapping[str, int], num_rows: int) -> None:
        """Of a shard's rows, by message.

        Raises:
            Outage: too many have no answer.
        """
        failures = {message: count for message, count in counts.items() if _is_unanswered(message)}
        unanswered = sum(failures.values())
        if unanswered >= MIN_UNANSWERED and unanswered > self.max_share * num_rows:
            usual = max(failures, key=failures.__getitem__)
            raise Outage(f"{unanswered} of {num_rows} URLs have no answer, most often: {usual}")

    def waited_out(self, work: Callable[[], None], shard: int) -> None:
        """Crawl a shard, again after pauses while most of its URLs have no answer.

        Raises:
            Outage: they have none after the last pause either.
        """
        for seconds in PAUSES_SECONDS:
            try:
                return work()
            except Outage as outage:
                pause = min(seconds, self.max_pause_seconds)
                say("download_pairs", f"shard {shard}: {outage}; it is crawled again in {pause:.0f} s")
                time.sleep(pause)
        return work()


def _is_unanswered(message: str) -> bool:
    return message != "success" and reason_of(message) in UNANSWERED_REASONS
