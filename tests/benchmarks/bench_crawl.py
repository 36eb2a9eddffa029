"""The crawl of download_pairs against bare img2dataset at equal settings, and against a raw download.

`python -m tests.benchmarks.bench_crawl` (three minutes); `--urls 20000 --repeats 5` for the full size. A site
on loopback, in a process of its own, answers with JPEGs out of memory; all of it shares this machine's cores.
The three take turns. Rates of the crawls are those of shards at work: bare img2dataset needs some seconds
more to start, which `whole` includes.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pandas as pd

from components import crawl_records
from components.crawl import crawl_urls
from components.download_pairs import DownloadPairs
from tests.components.crawl_site import running

CONFIG = DownloadPairs(
    (), retries=0, max_requests_per_second_per_host=0.0, allow_private_addresses=True, pairs_per_shard=500
)


@dataclass(frozen=True)
class Result:
    """Images a second, of the part that scales and of the whole call."""

    rate: float
    whole: float


def crawl_guarded(urls: Path, place: Path) -> float:
    """Through download_pairs' crawl; the rate of its shards."""
    return crawl_urls(CONFIG, urls, place, {})["images_per_second"]


def crawl_bare(urls: Path, place: Path) -> float:
    """Through img2dataset as it is; the rate of its shards."""
    from img2dataset import download

    place.mkdir()
    download(
        url_list=str(urls),
        input_format="parquet",
        output_folder=str(place / "shards"),
        output_format="webdataset",
        save_additional_columns=["zh", "en"],
        resize_mode="keep_ratio",
        resize_only_if_bigger=True,
        image_size=CONFIG.image_size,
        encode_format=CONFIG.encode_format,
        encode_quality=CONFIG.encode_quality,
        number_sample_per_shard=CONFIG.pairs_per_shard,
        processes_count=CONFIG.num_processes,
        thread_count=CONFIG.num_threads,
        timeout=CONFIG.timeout_seconds,
        retries=CONFIG.retries,
        extract_exif=False,
    )
    return crawl_records.count_outcomes(place / "shards")["images_per_second"]


def download_raw(urls: Path, place: Path) -> float:
    """By aiohttp, as many at a time as the crawl has threads, nothing done with the bodies."""
    return asyncio.run(_download_all(pd.read_parquet(urls)["url"].tolist()))


async def _download_all(urls: list[str]) -> float:
    waiting, start = iter(urls), time.monotonic()

    async def work(session: aiohttp.ClientSession) -> None:
        for url in waiting:
            async with session.get(url) as answer:
                assert answer.status == 200
                await answer.read()

    # A connection an image, as a crawl of many hosts has it.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(CONFIG.num_processes * CONFIG.num_threads)))
    return len(urls) / (time.monotonic() - start)


WAYS = {"download_pairs": crawl_guarded, "img2dataset": crawl_bare, "aiohttp": download_raw}


def measure(way: str, urls: Path, count: int) -> Result:
    """One run in a new folder."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rate = WAYS[way](urls, Path(folder) / "crawl")
    return Result(rate, count / (time.monotonic() - start))


def write_urls(site: str, count: int, file: Path) -> Path:
    """A list as download_pairs writes it."""
    urls = [f"{site}/{number}.jpg" for number in range(count)]
    pd.DataFrame({"url": urls, "zh": "图", "en": "a picture"}).to_parquet(file, index=False)
    return file


def run(count: int, repeats: int, side: int) -> dict[str, list[Result]]:
    """All ways by turns."""
    results: dict[str, list[Result]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, running("--pictures", "200", "--side", str(side)) as site:
        urls = write_urls(site, count, Path(folder) / "urls.parquet")
        for _ in range(repeats):
            for way in WAYS:
                results[way].append(measure(way, urls, count))
    return results


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", type=int, default=600, help="shorter side of the pictures in pixels")
    options = parser.parse_args()
    results = run(options.urls, options.repeats, options.side)
    print(f"{'images a second':<16}{'rate':>8}{'whole':>8}   each rate")
    for way, runs in results.items():
        rates = [item.rate for item in runs]
        whole = statistics.median(item.whole for item in runs)
        each = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"{way:<16}{statistics.median(rates):8.0f}{whole:8.0f}   {each}")
    for name, other in {"crawl_vs_img2dataset": "img2dataset", "crawl_vs_raw": "aiohttp"}.items():
        pairs = zip(results["download_pairs"], results[other], strict=True)
        print(f"figure {name} {statistics.median(ours.rate / theirs.rate for ours, theirs in pairs):.3f}")


if __name__ == "__main__":
    main()
