"""Filter rules at scale: rows a second and core, cost per row at ten times the rows, against pandas.

`python -m tests.benchmarks.bench_rules` takes 10M rows (3 GB of disk) and a tenth of them; `--rows` changes
that. The chain is the caption rules over the list before the crawl, then the job of filter_pairs over the
crawl's records: rules, repeated captions, exact duplicates, both files written. No pictures are opened;
`--pictures` times that pass alone, on pictures as img2dataset stores them.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from infra.memory import PeakMemory
from spark_jobs import pixels
from spark_jobs.clean_captions import cleaned
from spark_jobs.filter_pairs import judge, read_raw, write_judged
from spark_jobs.limits import CHINESE, ENGLISH, ImageLimits
from spark_jobs.rules import LANGUAGES, caption_reason
from spark_jobs.session import spark_session
from tests.benchmarks import pandas_rules
from tests.benchmarks.clocks import cpu_seconds
from tests.benchmarks.pair_table import write_table

CORES = 2
CAPTIONS = {"zh": CHINESE, "en": ENGLISH}
RECORDS_ONLY = ImageLimits(min_bytes=0, min_sigma=0, min_entropy=0)
REASONS = ["reason", "zh_reason", "en_reason"]

HEADINGS = (
    f"{'':36} {'rows':>10} {'seconds':>8} {'cpu s':>8} {'rows/s/core':>12} {'rows/cpu s':>14} {'MB':>8}"
)


def before_crawl(spark: SparkSession, shards: Path, place: Path) -> None:
    """Captions of a list, judged; what is left is written for the crawl."""
    rows = spark.read.schema("url string, zh string, en string").parquet(str(shards))
    rows = rows.withColumns({lang: cleaned(lang) for lang in LANGUAGES})
    for lang in LANGUAGES:
        rows = rows.withColumn(f"{lang}_reason", caption_reason(lang, CAPTIONS[lang]))
    left = rows.where("zh_reason is null or en_reason is null")
    left.write.mode("overwrite").parquet(str(place / "urls.parquet"))


def after_crawl(spark: SparkSession, shards: Path, place: Path) -> None:
    """The job of filter_pairs, without pictures."""
    rows = judge(read_raw(spark, shards), shards, CAPTIONS, RECORDS_ONLY, simplify=False)
    write_judged(rows, place)
    spark.catalog.clearCache()


def measure(name: str, num_rows: int, work: Callable[[], None]) -> tuple[float, float]:
    """(wall seconds, processor seconds), printed as a line of the table."""
    start, cpu = time.monotonic(), cpu_seconds()
    with PeakMemory(0.2).watching() as peak:
        work()
    wall, cpu = time.monotonic() - start, cpu_seconds() - cpu
    print(
        f"{name:36} {num_rows:>10,} {wall:8.1f} {cpu:8.1f} {num_rows / wall / CORES:12,.0f} "
        f"{num_rows / cpu:14,.0f} {peak.megabytes:8,.0f}",
        flush=True,
    )
    return wall, cpu


def chain(spark: SparkSession, shards: Path, place: Path, num_rows: int) -> tuple[float, float, float]:
    """Both passes over one table: (wall seconds, processor seconds, those of the second pass)."""
    before = measure("before the crawl: captions", num_rows, lambda: before_crawl(spark, shards, place))
    after = measure("after the crawl: filter_pairs", num_rows, lambda: after_crawl(spark, shards, place))
    return before[0] + after[0], before[1] + after[1], after[1]


def compare_with_pandas(spark: SparkSession, shards: Path, num_rows: int) -> float:
    """Pandas on the same rows; returns its processor seconds. Every row must get the same reasons."""
    found = []
    _, cpu = measure(
        "pandas, one core (after the crawl)",
        num_rows,
        lambda: found.append(pandas_rules.judge(shards, CAPTIONS, RECORDS_ONLY)),
    )
    rows = judge(read_raw(spark, shards), shards, CAPTIONS, RECORDS_ONLY, simplify=False)
    ours = rows.select("key", *REASONS).toPandas().set_index("key").sort_index()
    theirs = found[0].set_index("key")[REASONS].sort_index()
    differ = (ours.fillna("") != theirs.fillna("")).any(axis=1)
    print(f"rows on which Spark and pandas differ: {int(differ.sum())} of {len(ours)}")
    return cpu


def time_pictures(num_pictures: int = 500) -> None:
    """The pixel rules on one core, on 256-pixel JPEG of noise smoothed as photographs are."""
    from PIL import Image, ImageFilter

    draw = np.random.default_rng(0)
    noise = Image.fromarray(draw.integers(0, 256, (340, 256, 3), dtype=np.uint8))
    stream = io.BytesIO()
    noise.filter(ImageFilter.GaussianBlur(3)).save(stream, "JPEG", quality=95)
    start = time.process_time()
    for _ in range(num_pictures):
        pixels.judge_picture(stream.getvalue(), ImageLimits())
    rate = num_pictures / (time.process_time() - start)
    print(
        f"pictures opened (JPEG, 256 x 340, {len(stream.getvalue()):,} bytes): {rate:,.0f} a second and core"
    )


def short(num_rows: int) -> str:
    """A count as people write it, 200k or 2m."""
    return f"{num_rows // 1_000_000}m" if num_rows >= 1_000_000 else f"{num_rows // 1_000}k"


def main() -> None:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where tables are kept for the next time")
    parser.add_argument("--pictures", action="store_true", help="time the opening of pictures alone")
    options = parser.parse_args()
    if options.pictures:
        time_pictures()
        return
    large, small = options.rows, options.rows // 10
    sample = min(small, 100_000)
    with tempfile.TemporaryDirectory() as scratch, spark_session("bench_rules", f"local[{CORES}]") as spark:
        folder = options.folder or Path(scratch)
        shards = {num: write_table(folder / f"rows-{num}", num) for num in {sample, small, large}}
        place = Path(scratch, "out")
        print(HEADINGS)
        # Java compiles what it has run for a while: the first round is not counted.
        chain(spark, shards[small], place, small)
        small_wall, small_cpu, _ = chain(spark, shards[small], place, small)
        large_wall, large_cpu, after_cpu = chain(spark, shards[large], place, large)
        pandas_cpu = compare_with_pandas(spark, shards[sample], sample)
    ratio = f"rules_cost_{short(large)}_vs_{short(small)}"
    print(f"cost per row in processor time, {short(large)} : {short(small)} {large_cpu / small_cpu / 10:.2f}")
    print(f"figure rules_pairs_per_second_per_core {large / large_wall / CORES:.0f}")
    print(f"figure {ratio} {large_wall / small_wall / 10:.3f}")
    print(f"figure rules_vs_pandas {(pandas_cpu / sample) / (after_cpu / large):.2f}")


if __name__ == "__main__":
    main()
