"""The pass over URL lists before the crawl: rows a second and core, cost at size, against pandas.

    python -m tests.benchmarks.bench_url_lists [--rows 1000000] [--small 250000] [--master local[2]]

Generates a Chinese CSV and an English TSV that share a fifth of their URLs, most on few hosts, and
merges them with spark_jobs.merge_lists. The baseline does with pandas what can be done with it in few lines:
read, drop rows without URL or caption, keep one caption a URL and language; no rule on URLs or captions. Work
is counted in CPU seconds of this process and all it started, so that neighbours on the machine matter little.
"""

import argparse
import functools
import random
import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession

from components.list_files import look_at
from components.url_lists import UrlList
from infra.memory import PeakMemory
from spark_jobs.limits import BEFORE_CRAWL
from spark_jobs.merge_lists import merge_lists
from spark_jobs.rules import caption_reason
from spark_jobs.session import spark_session
from tests.benchmarks.clocks import cpu_seconds

HAN = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过"
WORDS = ("the", "of", "red", "blue", "photo", "old", "new", "house", "cat", "with", "lake", "view", "vintage")


def write_lists(folder: Path, num_rows: int) -> tuple[UrlList, ...]:
    """A Chinese CSV and an English TSV of half the rows each."""
    folder.mkdir()
    draw = random.Random(num_rows)
    with (folder / "zh.csv").open("w") as chinese, (folder / "en.tsv").open("w") as english:
        chinese.write("url,caption\n")
        for number in range(num_rows // 2):
            chinese.write(f"{_url(number)},{''.join(draw.choices(HAN, k=draw.randint(5, 32)))}\n")
            other = number if number % 5 == 0 else num_rows + number
            english.write(f"{_url(other)}\t{' '.join(draw.choices(WORDS, k=draw.randint(3, 18)))}\n")
    return UrlList(str(folder / "zh.csv"), "wukong"), UrlList(str(folder / "en.tsv"), "cc12m")


def _url(number: int) -> str:
    """A URL of about 80 characters; one host in ten has most of them."""
    host = number % 7 if number % 10 else number
    return (
        f"https://img{host}.example.com/upload/{number * 2654435761 % 2**48:x}/{number}.jpg?imageView=2&w=600"
    )


def merge_with_spark(spark: SparkSession, lists: tuple[UrlList, ...], place: Path) -> int:
    """URLs found by the job itself."""
    rule = functools.partial(caption_reason, limits=BEFORE_CRAWL)
    return merge_lists(spark, [look_at(source) for source in lists], ("zh", "en"), rule, place)["urls"]


def merge_with_pandas(lists: tuple[UrlList, ...], place: Path) -> int:
    """URLs found by pandas, written as one file."""
    options = {"dtype": str, "keep_default_na": False, "na_values": [""]}
    chinese = pd.read_csv(lists[0].path, **options).rename(columns={"caption": "zh"})
    english = pd.read_csv(lists[1].path, sep="\t", names=["url", "en"], quoting=3, **options)
    rows = pd.concat([chinese, english], ignore_index=True)
    merged = rows[rows["url"].notna()].groupby("url", sort=True, as_index=False).first()
    merged.to_parquet(place / "urls.parquet")
    return len(merged)


def measure(work) -> dict[str, float]:
    """Runs `work()`; its URLs, seconds, CPU seconds and peak memory in MB."""
    with PeakMemory(0.2).watching() as peak:
        start, cpu = time.monotonic(), cpu_seconds()
        urls = work()
        spent = {"urls": urls, "seconds": time.monotonic() - start, "cpu": cpu_seconds() - cpu}
    return {**spent, "megabytes": peak.megabytes}


def main() -> None:
    """Measure, print a table, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=250_000)
    parser.add_argument("--master", default="local[2]")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-url-lists-"))
    try:
        print_results(options, run(options, folder))
    finally:
        shutil.rmtree(folder)


def run(options: argparse.Namespace, folder: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Measurements by tool and number of rows; Spark's are its second at a size, its code being compiled."""
    sizes = (options.small, options.rows)
    lists = {size: write_lists(folder / str(size), size) for size in sizes}
    results = {}
    with spark_session("bench_url_lists", options.master) as spark:
        merge_with_spark(spark, lists[options.small], folder)
        for size in sizes:
            results["spark", size] = measure(functools.partial(merge_with_spark, spark, lists[size], folder))
    results["pandas", options.rows] = measure(
        functools.partial(merge_with_pandas, lists[options.rows], folder)
    )
    return results


def print_results(options: argparse.Namespace, results: dict[tuple[str, int], dict[str, float]]) -> None:
    """A row a measurement; figures last."""
    print(f"{'tool':<8}{'rows':>12}{'urls':>12}{'seconds':>10}{'CPU s':>8}{'peak MB':>9}")
    for (tool, size), spent in results.items():
        cells = f"{spent['urls']:>12,}{spent['seconds']:>10.1f}{spent['cpu']:>8.1f}{spent['megabytes']:>9.0f}"
        print(f"{tool:<8}{size:>12,}{cells}")
    large, small = results["spark", options.rows], results["spark", options.small]
    cost = large["cpu"] / options.rows / (small["cpu"] / options.small)
    print(f"figure url_lists_rows_per_second_per_core {options.rows / large['cpu']:.0f}")
    print(f"figure url_lists_cost_{options.rows}_vs_{options.small} {cost:.2f}")
    print(f"figure url_lists_cpu_vs_pandas {results['pandas', options.rows]['cpu'] / large['cpu']:.2f}")
    print(f"figure url_lists_memory_growth {large['megabytes'] / small['megabytes']:.2f}")


if __name__ == "__main__":
    main()
