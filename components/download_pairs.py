"""Step 1, download_pairs: URL lists in, raw shards out (tar and parquet), crawled by img2dataset.

Lists are merged by URL first (components.url_lists), so that one image with two captions becomes one record.
A row that fails stays in the parquet with its reason; filter_pairs counts it. Where an earlier version of the
data set is known, only URLs that it lacks are crawled, and its shards are taken over (components.take_over).
URLs come from strangers, so components.crawl_guard bounds where they may lead and what they may cost.

Left out on purpose: judging images or captions, which is filter_pairs' work.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kfp import dsl

from components.data_version import KnownCrawl
from components.image import step_component
from components.url_lists import UrlList, merge_url_lists
from spark_jobs.limits import BEFORE_CRAWL, CaptionLimits

HOST_AND_PORT = re.compile(r"[^/\s@]+:\d+")


@dataclass(frozen=True)
class DownloadPairs:
    """What to crawl and how; sizes in pixels, times in seconds.

    `zh` and `en` say which captions are worth a download; filter_pairs judges again, by stricter limits
    that may change without another crawl (repeats are counted there alone).

    `distributor` is img2dataset's: `multiprocessing` on this machine, `pyspark` or `ray` at the run's
    address, where `num_processes` has no say. `retries` come at once; each of `retry_rounds` comes after
    the whole crawl, for rows whose failure may pass. A host is asked by one machine at most so often a
    second (0 is without bound), and between rounds a pause that hosts ask for is kept up to
    `max_pause_seconds`. A shard in which more than `max_unanswered_share` of the URLs have no answer at all
    is crawled again after a pause, and fails at last: the likelier fault is our network's, and no fact
    about the URLs. `user_agent_token` names the crawler to the servers, whose X-Robots-Tag may refuse it by
    that name.

    The last seven bound what one URL may cost, its redirects and retries included, and where it may lead: to
    ports 80, 443 and `allowed_ports`, and into our own network only to `allowed_private_hosts`
    (`images.internal:8080`), or anywhere there with `allow_private_addresses`, which is nothing for URLs that
    strangers wrote.

    `known` is filled in when the recipe is resolved: the crawl of the version that a new one grows from.
    """

    lists: tuple[UrlList, ...]
    zh: CaptionLimits = BEFORE_CRAWL
    en: CaptionLimits = BEFORE_CRAWL
    image_size: int = 256
    encode_format: str = "jpg"
    encode_quality: int = 95
    pairs_per_shard: int = 10_000
    num_processes: int = 2
    num_threads: int = 32
    timeout_seconds: int = 10
    retries: int = 1
    retry_rounds: int = 0
    max_pause_seconds: float = 60.0
    max_unanswered_share: float = 0.5
    max_requests_per_second_per_host: float = 20.0
    user_agent_token: str = ""
    distributor: str = "multiprocessing"
    max_bytes: int = 20_000_000
    # As many in an animated WEBP with alpha, 84 kB to fetch, take 0.5 GB to decode, other formats less.
    max_pixels: int = 32_000_000
    max_redirects: int = 3
    max_seconds_per_image: float = 30.0
    allowed_ports: tuple[int, ...] = ()
    allow_private_addresses: bool = False
    allowed_private_hosts: tuple[str, ...] = ()
    known: KnownCrawl | None = None

    def __post_init__(self):
        if not all(isinstance(source, UrlList) for source in self.lists):
            raise ValueError('lists are written [{"path": "pairs.csv", "layout": "en"}]')
        if wrong := [host for host in self.allowed_private_hosts if not HOST_AND_PORT.fullmatch(host)]:
            raise ValueError(f'allowed_private_hosts are written ["images.internal:8080"], not {wrong}')


def crawl(config: DownloadPairs, place: Path, engines: dict, corpus: dict | None = None) -> dict:
    """Merge the lists and download them below `place/shards`; finished shards are kept on a rerun.

    Args:
        corpus: the demo corpus that the recipe has, as `pipelines.demo.DemoCorpus` holds it. Its images are
            served here while its own lists are crawled.
    """
    from components.demo_site import demo_site

    with demo_site(corpus, config.lists) as hosts:
        allowed = (*config.allowed_private_hosts, *hosts)
        return _crawl(replace(config, allowed_private_hosts=allowed), place, engines)


def _crawl(config: DownloadPairs, place: Path, engines: dict) -> dict:
    from components.crawl import crawl_urls
    from components.take_over import NEW_URLS, take_over

    counts = merge_url_lists(config, place, engines)
    if config.known is None:
        return {**counts, "crawl": crawl_urls(config, place / "urls", place, engines)}
    known = take_over(config.known, place, engines)
    crawled = crawl_urls(config, place / NEW_URLS, place, engines, known["first_shard"])
    return {**counts, "known": known, "crawl": crawled}


@step_component()
def download_pairs(config: dict, raw: dsl.Output[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]):
    """Crawl the URL lists with img2dataset."""
    from functools import partial

    from components.download_pairs import DownloadPairs, crawl
    from components.step import run_step

    work = partial(crawl, corpus=config.get("corpus"))
    run_step("download_pairs", work, DownloadPairs, config, {}, raw, metrics=metrics)
