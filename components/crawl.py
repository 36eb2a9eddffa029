"""The crawl of download_pairs: parquet files of URLs in, img2dataset's shards out, each URL in them once.

img2dataset skips shards that are finished, so a crawl that was killed goes on where it was. On request, rows
that failed for a reason that may pass are crawled again, as further shards. Such a round begins with a list
of them in `retries/`; then they are taken out of the shards where they failed, then crawled. Each of the
three can be repeated, so a round that was cut off is gone on with, and no row is lost or there twice.

Which processes crawl, here or on other machines, is `distributor`; what bounds one URL is
components.crawl_guard.

Left out on purpose: robots.txt. img2dataset does not ask for it, and a lookup of each host would double the
requests of a web-scale crawl. The opt-out that travels with a picture, X-Robots-Tag, is honoured.
"""

import contextlib
import functools
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq

from components import crawl_records
from components.crawl_guard import PAUSE_WANTED, guarded, main, replaced, worker_environment
from components.download_pairs import DownloadPairs
from components.outages import OutageLimits
from components.step import StepError
from infra.console import say
from infra.safe_fetch import FetchLimits

READER = main.Reader
# Words of X-Robots-Tag that refuse: img2dataset's, and the one that means all of them.
OPT_OUTS = ("noai", "noimageai", "noindex", "noimageindex", "none")


def crawl_urls(config: DownloadPairs, urls: Path, place: Path, engines: dict, first_shard: int = 0) -> dict:
    """Download what the parquet file or folder `urls` lists to `place/shards`, from `first_shard` on.

    The list must be the same, file by file, when a crawl is gone on with. Its column `url` is asked for,
    the others are kept in the records. Shards before the first one are an earlier crawl's and stay as they
    are.

    Returns:
        Counts and rates of all shards.

    Raises:
        StepError: shards could not be written, or no URL gave an image.
    """
    shards, lists = place / "shards", place / "retries"
    shards.mkdir(parents=True, exist_ok=True)
    if not crawl_records.num_rows(_files(urls)):
        return _outcomes(shards)
    columns = pq.read_schema(_files(urls)[0]).names
    rounds = [urls, *sorted(lists.glob("*.parquet"))]
    with _session(config, engines):
        while rounds:
            is_retry = len(rounds) > 1
            first = int(rounds[-1].stem) if is_retry else first_shard
            _crawl_round(config, rounds[-1], columns, shards, first, is_retry)
            more = len(rounds) <= config.retry_rounds
            again = crawl_records.write_failed(shards, lists, first_shard) if more else None
            rounds = [*rounds, again] if again else []
    return _outcomes(shards)


def _files(urls: Path) -> list[Path]:
    """In img2dataset's order."""
    return sorted(urls.glob("*.parquet")) if urls.is_dir() else [urls]


def _crawl_round(
    config: DownloadPairs, urls: Path, columns: list[str], shards: Path, first: int, is_retry: bool
) -> None:
    """Crawl a list into the shards from `first` on, but for those that are finished."""
    total = crawl_records.num_rows(_files(urls))
    if is_retry:
        crawl_records.take_out(shards, urls)
        _pause(urls, config.max_pause_seconds)
    crawl_records.forget_unfinished(shards, first)
    text = "URLs tried again" if is_retry else "URLs tried"
    with crawl_records.shown(shards, first, total, text), _adapted(config, first, is_retry):
        _download(config, urls, columns, shards)
    if lost := total - crawl_records.num_crawled(shards, first):
        raise StepError(
            f"{lost} URLs are in shards that could not be finished: they could not be written, or most hosts "
            "had no answer (the full log says which). Run again: what is finished is kept. If so many hosts "
            "are gone indeed, accept it: download_pairs.max_unanswered_share=1"
        )


def _pause(again: Path, max_seconds: float) -> None:
    """As long as the hosts asked for, or as long as we are willing to."""
    messages = pq.read_table(again, columns=["error_message"])["error_message"].to_pylist()
    wanted = [int(found[1]) for found in map(PAUSE_WANTED.search, messages) if found]
    seconds = min(max(wanted, default=0), max_seconds)
    if seconds:
        say("download_pairs", f"hosts asked for a pause, waiting {seconds:.0f} s")
        time.sleep(seconds)


@contextlib.contextmanager
def _adapted(config: DownloadPairs, first: int, is_retry: bool) -> Iterator[None]:
    """While this is open, img2dataset keeps our limits and numbers shards from `first` on."""
    limits = FetchLimits(
        max_bytes=config.max_bytes,
        max_redirects=config.max_redirects,
        max_seconds=config.max_seconds_per_image,
        allow_private_addresses=config.allow_private_addresses,
        max_requests_per_second_per_host=config.max_requests_per_second_per_host,
        allowed_private_hosts=config.allowed_private_hosts,
        allowed_ports=config.allowed_ports,
    )
    # All rows that are tried again had no answer before.
    max_share = 1.0 if is_retry else config.max_unanswered_share
    outages = OutageLimits(max_share, config.max_pause_seconds)
    # At Ctrl-C it would end this process as if all were well.
    signals = SimpleNamespace(signal=lambda *_: None, SIGINT=signal.SIGINT)
    with (
        guarded(limits, config.max_pixels, outages),
        replaced(main, "Reader", functools.partial(_reader, first)),
        replaced(main, "LoggerProcess", NoLogger),
        replaced(main, "signal", signals),
    ):
        yield


def _reader(first: int, *arguments: Any) -> Any:
    """img2dataset's, which would number shards from 0; the last argument is the number."""
    return READER(*arguments[:-1], first)


class NoLogger:
    """In place of img2dataset's process for logs, which takes seconds to start."""

    def __init__(self, *_: Any):
        pass

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to wait for."""


def _download(config: DownloadPairs, urls: Path, columns: list[str], shards: Path) -> None:
    """img2dataset with our settings."""
    main.download(
        url_list=str(urls),
        input_format="parquet",
        output_folder=str(shards),
        output_format="webdataset",
        save_additional_columns=[name for name in columns if name != "url"],
        resize_mode="keep_ratio",
        resize_only_if_bigger=True,
        image_size=config.image_size,
        encode_format=config.encode_format,
        encode_quality=config.encode_quality,
        number_sample_per_shard=config.pairs_per_shard,
        processes_count=config.num_processes,
        thread_count=config.num_threads,
        timeout=config.timeout_seconds,
        retries=config.retries,
        extract_exif=False,
        enable_wandb=False,
        incremental_mode="incremental",
        distributor=config.distributor,
        user_agent_token=config.user_agent_token or None,
        disallowed_header_directives=list(OPT_OUTS),
    )


def _spark(engines: dict, environment: dict[str, str]) -> contextlib.AbstractContextManager:
    from spark_jobs.session import spark_session

    return spark_session("download_pairs", engines["spark_master"], environment=environment)


def _ray(engines: dict, environment: dict[str, str]) -> contextlib.AbstractContextManager:
    from training.ray_edge import ray_session

    return ray_session(engines["ray_address"], environment)


# What img2dataset calls a distributor, and the session that must be open for it.
SESSIONS = {"multiprocessing": lambda *_: contextlib.nullcontext(), "pyspark": _spark, "ray": _ray}


def _session(config: DownloadPairs, engines: dict) -> contextlib.AbstractContextManager:
    """The session of the engine whose workers crawl.

    Raises:
        StepError: there is no such distributor.
    """
    if config.distributor not in SESSIONS:
        raise StepError(f"no distributor {config.distributor!r}; choose one of {', '.join(SESSIONS)}")
    return SESSIONS[config.distributor](engines, worker_environment(config.max_pixels))


def _outcomes(shards: Path) -> dict:
    """Counts and rates; no picture at all is an error."""
    counts = crawl_records.count_outcomes(shards)
    if not counts["downloaded"]:
        usual = next(iter(counts["failures"]))
        raise StepError(f"none of the URLs gave an image: is the network there? Most often: {usual}")
    say("download_pairs", "{downloaded} images of {urls} URLs, {images_per_second} a second".format(**counts))
    return counts
