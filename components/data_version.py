"""What a recipe says of the versions of its data, and what a step is told of the version before its own."""

import re
from dataclasses import dataclass

GOOD_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class DataSet:
    """The data set that a recipe's lists become, a version at a time.

    With `grow` a new version begins from the latest one: what was crawled is not crawled again, but for
    failures that may pass and are `retry_after_days` old; with `keep_teacher` the teacher stays too, if the
    recipe prepares it by the same values, and with it the vectors. Without `grow` each run starts from
    nothing. `version` is the one that dcclip-train takes, 0 for the latest.
    """

    name: str = "dcclip"
    grow: bool = False
    retry_after_days: float = 7.0
    keep_teacher: bool = True
    version: int = 0

    def __post_init__(self):
        if not GOOD_NAME.fullmatch(self.name):
            raise ValueError(f"a data set's name is of a-z, 0-9, _ and -, not {self.name!r}")


@dataclass(frozen=True)
class Known:
    """What the same step left in the version before: its number, and the folder with the step's files."""

    version: int
    place: str


@dataclass(frozen=True)
class KnownCrawl(Known):
    """An earlier crawl; which of its failures are tried again.

    Those that may pass when they are `retry_after_days` old; with `retry_all` every one, because the limits
    of the crawl have changed.
    """

    retry_after_days: float = 7.0
    retry_all: bool = False
