"""Step 1, download_pairs: URL lists in, raw shards out (tar and parquet), crawled by img2dataset.

Lists are merged by URL first (components.url_lists), so that one image with two captions becomes one record.
A row that fails stays in the parquet with its reason; filter_pairs counts it. URLs come from strangers, so
components.crawl_guard bounds where they may lead and what they may cost.

Left out on purpose: judging images or captions, which is filter_pairs' work.
"""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from components.url_lists import UrlList, merge_url_lists
from infra.console import say


@dataclass(frozen=True)
class DownloadPairs:
    """What to crawl and how; sizes in pixels, times in seconds.

    The last five bound what one URL may cost, its redirects and retries included, and where it may lead:
    `allow_private_addresses` is for a server of our own, never for URLs that strangers wrote.
    """

    lists: tuple[UrlList, ...]
    # Loose on purpose: filter_pairs judges again, where a changed threshold needs no second crawl.
    min_caption_chars: int = 1
    max_caption_chars: int = 1_000
    image_size: int = 256
    encode_format: str = "jpg"
    encode_quality: int = 95
    pairs_per_shard: int = 10_000
    num_processes: int = 2
    num_threads: int = 32
    timeout_seconds: int = 10
    retries: int = 1
    max_bytes: int = 20_000_000
    # A PNG of 64 million pixels with alpha, 260 kB to fetch, takes 5 GB in img2dataset; half as many, 2.7 GB.
    max_pixels: int = 32_000_000
    max_redirects: int = 3
    max_seconds_per_image: float = 30.0
    allow_private_addresses: bool = False

    def __post_init__(self):
        if not all(isinstance(source, UrlList) for source in self.lists):
            raise ValueError('lists are written [{"path": "pairs.csv", "layout": "en"}]')


def crawl(config: DownloadPairs, place: Path, engines: dict) -> dict:
    """Merge the lists and download them below `place/shards`; finished shards are kept on a rerun."""
    counts = merge_url_lists(config, place, engines)
    _download(config, place)
    return _count_statuses(place / "shards", counts)


def _download(config: DownloadPairs, place: Path) -> None:
    """img2dataset over `place/urls`, within the limits."""
    from img2dataset import download

    from components.crawl_guard import guarded
    from infra.safe_fetch import FetchLimits

    limits = FetchLimits(
        max_bytes=config.max_bytes,
        max_redirects=config.max_redirects,
        max_seconds=config.max_seconds_per_image,
        allow_private_addresses=config.allow_private_addresses,
    )
    with guarded(limits, config.max_pixels):
        download(
            url_list=str(place / "urls"),
            input_format="parquet",
            output_folder=str(place / "shards"),
            output_format="webdataset",
            save_additional_columns=["zh", "en"],
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
        )


def _count_statuses(shards: Path, counts: dict) -> dict:
    """Counts per status over the shards' own records; no picture at all is an error."""
    import pandas as pd

    columns = ["status", "error_message"]
    rows = pd.concat(pd.read_parquet(file, columns=columns) for file in shards.glob("*.parquet"))
    if len(rows) < counts["urls"]:
        lost = counts["urls"] - len(rows)
        raise StepError(f"{lost} URLs are in shards that could not be written (see the full log); run again")
    downloaded = int((rows["status"] == "success").sum())
    if not downloaded:
        usual = rows["error_message"].mode().iloc[0]
        raise StepError(f"none of the URLs gave an image: is the network there? Most often: {usual}")
    say("download_pairs", f"{downloaded} images of {counts['urls']} URLs")
    return {**counts, "downloaded": downloaded}


@step_component()
def download_pairs(config: dict, raw: dsl.Output[dsl.Dataset]):
    """Crawl the URL lists with img2dataset."""
    from components.download_pairs import DownloadPairs, crawl
    from components.step import run_step

    run_step("download_pairs", crawl, DownloadPairs, config, {}, raw)
