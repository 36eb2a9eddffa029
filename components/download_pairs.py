"""Step 1, download_pairs: URL lists in, raw shards out (tar and parquet), crawled by img2dataset.

Lists in Chinese and in English are merged by URL first, so that one image with two captions becomes one
record. A row that fails stays in the parquet with its reason; filter_pairs counts it. URLs come from
strangers, so components.crawl_guard bounds where they may lead and what they may cost.

Left out on purpose: judging images or captions, which is filter_pairs' work.
"""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say

LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class UrlList:
    """A file of (URL, caption) rows: CSV, TSV or parquet by its suffix, gzip allowed.

    `content` is the file's fingerprint, filled in when the recipe is resolved.
    """

    path: str
    lang: str
    url_column: str = "url"
    caption_column: str = "caption"
    content: str = ""


@dataclass(frozen=True)
class DownloadPairs:
    """What to crawl and how; sizes in pixels, times in seconds.

    `distributor` is img2dataset's: `multiprocessing` on this machine, `pyspark` or `ray` at the run's
    address, where `num_processes` has no say. `retries` come at once; each of `retry_rounds` comes after
    the whole crawl, for rows whose failure may pass. A host is asked by one machine at most so often a
    second (0 is without bound), and between rounds a pause that hosts ask for is kept up to
    `max_pause_seconds`. `user_agent_token` names the crawler to the servers, whose X-Robots-Tag may refuse
    it by that name.

    The last five bound what one URL may cost, its redirects and retries included, and where it may lead:
    `allow_private_addresses` is for a server of our own, never for URLs that strangers wrote.
    """

    lists: tuple[UrlList, ...]
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
    max_requests_per_second_per_host: float = 20.0
    user_agent_token: str = ""
    distributor: str = "multiprocessing"
    max_bytes: int = 20_000_000
    # A PNG of 64 million pixels with alpha, 260 kB to fetch, takes 5 GB in img2dataset; half as many, 2.7 GB.
    max_pixels: int = 32_000_000
    max_redirects: int = 3
    max_seconds_per_image: float = 30.0
    allow_private_addresses: bool = False


def read_list(source: UrlList):
    """A frame with the columns `url` and the list's language, both strings, empty ones as None.

    Raises:
        StepError: the file is missing, unreadable or lacks a column.
    """
    import pandas as pd

    if source.lang not in LANGUAGES:
        raise StepError(f"{source.path}: language {source.lang!r}, expected one of {LANGUAGES}")
    columns = {source.url_column: "url", source.caption_column: source.lang}
    try:
        if ".parquet" in Path(source.path).suffixes:
            frame = pd.read_parquet(source.path, columns=list(columns))
        else:
            separator = "\t" if ".tsv" in Path(source.path).suffixes else ","
            # A caption may well be "NA" or "null": only the empty one is missing.
            options = {"dtype": str, "keep_default_na": False, "na_values": [""]}
            frame = pd.read_csv(source.path, sep=separator, usecols=list(columns), **options)
    except (OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StepError(f"cannot read the URL list {source.path}: {reason}") from error
    frame = frame.rename(columns=columns).astype(object)
    return frame.where(frame.notna() & (frame != ""), None)


def merge_lists(sources: tuple[UrlList, ...]):
    """(frame of url, zh, en with one row a URL, counts of what was read and left out)."""
    import pandas as pd

    rows = pd.concat([read_list(source) for source in sources], ignore_index=True)
    rows = rows.reindex(columns=["url", *LANGUAGES])
    captioned = rows[rows["url"].notna() & rows[list(LANGUAGES)].notna().any(axis=1)]
    merged = captioned.groupby("url", sort=True, as_index=False).first()
    counts = {
        "rows": len(rows),
        "no_url_or_caption": len(rows) - len(captioned),
        "joined_by_url": len(captioned) - len(merged),
        "urls": len(merged),
    }
    return merged, counts


def crawl(config: DownloadPairs, place: Path, engines: dict) -> dict:
    """Merge the lists and download them below `place/shards`; finished shards are kept on a rerun."""
    merged, counts = merge_lists(config.lists)
    if merged.empty:
        raise StepError("no row of the URL lists has both a URL and a caption")
    say("download_pairs", f"{counts['rows']} rows, {counts['urls']} URLs to crawl")
    from components.crawl import crawl_urls

    merged.to_parquet(place / "urls.parquet")
    return {**counts, "crawl": crawl_urls(config, place / "urls.parquet", place, engines)}


@step_component()
def download_pairs(config: dict, raw: dsl.Output[dsl.Dataset]):
    """Crawl the URL lists with img2dataset."""
    from components.download_pairs import DownloadPairs, crawl
    from components.step import run_step

    run_step("download_pairs", crawl, DownloadPairs, config, {}, raw)
