"""Near-duplicates planted among random vectors: how many are found, and how the time grows with the rows.

    python -m tests.benchmarks.bench_near_duplicates [--rows 1000000] [--cosine 0.95]

A tenth of the rows are copies of others, turned away to cosines between the threshold and 1, evenly. The job
is timed on a tenth, a half and all of the rows, with one Spark session, after a warm-up. Growth is CPU time
over CPU time as the rows double, from half to all; n log n would be a little over 2.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.near_duplicates import near_duplicates
from spark_jobs.session import spark_session
from tests.benchmarks.clocks import cpu_seconds
from tests.benchmarks.shuffles import stage_sums

ROWS_PER_FILE = 50_000
COPIES = 0.1


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bf16(vectors: np.ndarray) -> list[bytes]:
    # Rounded to the nearest, as the teacher's vectors are stored.
    rounded = (vectors.astype(np.float32).view(np.uint32) + 0x8000) >> 16
    return [row.tobytes() for row in rounded.astype(np.uint16)]


def write_part(folder: Path, number: int, num: int, width: int, cosine: float) -> None:
    """A file of vectors; the last tenth are copies of the first tenth, with the key of the original."""
    rng = np.random.default_rng(number)
    vectors = unit(rng.standard_normal((num, width), np.float32))
    copies = int(num * COPIES)
    wanted = rng.uniform(cosine, 1, (copies, 1)).astype(np.float32)
    away = rng.standard_normal((copies, width), np.float32)
    away -= (away * vectors[:copies]).sum(axis=1, keepdims=True) * vectors[:copies]
    vectors[-copies:] = wanted * vectors[:copies] + np.sqrt(1 - wanted**2) * unit(away)
    keys = [f"{number:05d}{row:07d}" for row in range(num)]
    original = [None] * (num - copies) + keys[:copies]
    table = {"key": keys, "score": rng.random(num), "vector": bf16(vectors), "original": original}
    pq.write_table(pa.table(table), folder / f"{number:05d}.parquet", row_group_size=10_000)


def measure(spark, folder: Path, num_files: int, rows_per_file: int, cosine: float) -> tuple[float, ...]:
    """(seconds, CPU seconds, bytes shuffled, share of planted copies found) on the first files."""
    rows = spark.read.parquet(*[str(path) for path in sorted(folder.glob("*.parquet"))[:num_files]])
    start, used, moved = time.monotonic(), cpu_seconds(), stage_sums(spark)["shuffled"]
    found = near_duplicates(rows, num_files * rows_per_file, cosine).toArrow()
    seconds, used = time.monotonic() - start, cpu_seconds() - used
    moved = stage_sums(spark)["shuffled"] - moved
    columns = (found[name].to_pylist() for name in ("key", "duplicate_of"))
    pairs = {frozenset(pair) for pair in zip(*columns, strict=True)}
    planted = rows.where("original is not null").select("key", "original").toArrow()
    wanted = zip(planted["key"].to_pylist(), planted["original"].to_pylist(), strict=True)
    hits = [frozenset(pair) in pairs for pair in wanted]
    print(f"{len(pairs) - sum(hits)} pairs beside the planted")
    return seconds, used, moved, sum(hits) / len(hits)


def main() -> None:
    """Plant, find, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--cosine", type=float, default=0.95)
    parser.add_argument("--master", default="local[*]")
    options = parser.parse_args()
    num_files = 10 * max(1, round(options.rows / ROWS_PER_FILE / 10))
    rows_per_file = options.rows // num_files
    with tempfile.TemporaryDirectory() as folder, spark_session("bench", options.master) as spark:
        for number in range(num_files):
            write_part(Path(folder), number, rows_per_file, options.width, options.cosine)
        measure(spark, Path(folder), 1, rows_per_file, options.cosine)
        print(f"{'rows':>10} {'seconds':>8} {'CPU s':>8} {'B/row':>7} {'recall':>7}")
        used = {}
        for files in (num_files // 10, num_files // 2, num_files):
            seconds, used[files], moved, recall = measure(
                spark, Path(folder), files, rows_per_file, options.cosine
            )
            num_rows = files * rows_per_file
            print(
                f"{num_rows:>10,} {seconds:>8.1f} {used[files]:>8.1f} {moved / num_rows:>7.0f} {recall:>7.4f}"
            )
    growth = used[num_files] / used[num_files // 2]
    rows = num_files * rows_per_file
    print(f"n log n would grow by {2 * math.log(rows) / math.log(rows / 2):.3f}")
    print(f"driver's Python: {psutil.Process().memory_info().rss / 2**20:.0f} MB")
    print(f"figure near_duplicate_recall {recall:.4f}")
    print(f"figure near_duplicate_growth {growth:.3f}")
    print(f"figure near_duplicate_bytes_shuffled_a_row {moved / rows:.0f}")


if __name__ == "__main__":
    main()
