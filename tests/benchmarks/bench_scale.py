"""How each step of the data path grows with the rows: time, memory, bytes read and written.

    python -m tests.benchmarks.bench_scale [--rows 10000 100000 1000000] [--metadata-rows 10000000]
        [--steps merge_lists filter_pairs …] [--master local[2]] [--quick]

There are no images: rows are made up (scale_tables.py), so that the records are what is measured. Steps of
Spark run at each of `--rows`; what a driver or a training worker does by itself also at `--metadata-rows`.
Growth is of processor time over the two largest sizes of a step, as if they were ten times apart: 10 is
linear. Memory is of this process (`driver`), and the largest of the others that are not Java (`worker`); Java
is driver and executor in one here, and so stands alone. Bytes are Spark's own, or this process's.
"""

import argparse
import functools
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from components.list_files import look_at
from components.url_lists import UrlList
from spark_jobs import select_pairs
from spark_jobs.filter_pairs import judge, read_raw, write_judged
from spark_jobs.limits import BEFORE_CRAWL, CHINESE, ENGLISH, ImageLimits
from spark_jobs.merge_lists import merge_lists
from spark_jobs.rules import caption_reason
from spark_jobs.session import spark_session
from tests.benchmarks import scale_tables
from tests.benchmarks.bench_url_lists import write_lists
from tests.benchmarks.clocks import cpu_seconds
from tests.benchmarks.shuffles import stage_sums
from training.embed import kept_rows, shard_items
from training.selection import Selection

NO_IMAGES = ImageLimits(min_bytes=0, min_sigma=0, min_entropy=0)
# Shards of which an epoch's rows are asked for.
ASKED_SHARDS = 20


def run_merge_lists(spark, place: Path) -> None:
    """The pass over the lists before the crawl."""
    rule = functools.partial(caption_reason, limits=BEFORE_CRAWL)
    files = {"zh.csv": "wukong", "en.tsv": "cc12m"}
    lists = [UrlList(str(place / "lists" / file), layout) for file, layout in files.items()]
    merge_lists(spark, [look_at(source) for source in lists], ("zh", "en"), rule, place)


def run_filter_pairs(spark, place: Path) -> None:
    """All rules but those that open images."""
    shards, captions = place / "raw", {"zh": CHINESE, "en": ENGLISH}
    write_judged(judge(read_raw(spark, shards), shards, captions, NO_IMAGES, simplify=False), place)


def run_embed_items(spark, place: Path) -> None:
    """What embed_pairs' driver does, and a worker's look for the rows of some shards."""
    items = shard_items(place, place, place)
    for item in items[:: max(1, len(items) // ASKED_SHARDS)]:
        list(kept_rows(item))


def run_select_pairs(spark, place: Path) -> None:
    """Thresholds and near-duplicates."""
    scores = select_pairs.read_scores(spark, place)
    counts = select_pairs.count(scores)
    lowest = select_pairs.lowest_kept(scores, counts, 0.3)
    bands = {lang: select_pairs.Band(low) for lang, low in lowest.items()}
    rows = select_pairs.select(scores, bands, num_rows=counts.embedded, near_duplicate_cosine=0.95)
    select_pairs.write_selection(rows, place)


def run_tokenizer_texts(spark, place: Path) -> None:
    """All texts that the tokenizer is shown."""
    for _ in Selection(place).captions():
        pass


def run_training_start(spark, place: Path) -> None:
    """Counts of all shards, and the rows of some."""
    selection = Selection(place)
    names = list(selection.counts().pairs)
    for name in names[:: max(1, len(names) // ASKED_SHARDS)]:
        selection.of(name)


def make_lists(place: Path, num_rows: int) -> None:
    """Two lists."""
    write_lists(place / "lists", num_rows)


def make_raw(place: Path, num_rows: int) -> None:
    """Records of the crawl."""
    scale_tables.write_raw(place / "raw", num_rows)


@dataclass(frozen=True)
class Step:
    """How its input is made below a folder, and what is measured; whether Spark does it."""

    make: Callable[[Path, int], None]
    run: Callable
    uses_spark: bool


STEPS = {
    "merge_lists": Step(make_lists, run_merge_lists, True),
    "filter_pairs": Step(make_raw, run_filter_pairs, True),
    "embed_items": Step(scale_tables.write_kept, run_embed_items, False),
    "select_pairs": Step(scale_tables.write_scores, run_select_pairs, True),
    "tokenizer_texts": Step(scale_tables.write_selected, run_tokenizer_texts, False),
    "training_start": Step(scale_tables.write_selected, run_training_start, False),
}


@dataclass
class Measured:
    """What a step took; memory in MB."""

    rows: int
    seconds: float = 0.0
    cpu: float = 0.0
    driver: float = 0.0
    worker: float = 0.0
    java: float = 0.0
    stored: int = 0
    read: int = 0
    written: int = 0
    shuffled: int = 0

    def line(self, name: str) -> str:
        """A row of the table."""
        bytes_a_row = (number / self.rows for number in (self.read, self.written, self.shuffled))
        memory = f"{self.driver:>7.0f} {self.worker:>7.0f} {self.java:>7.0f}"
        figures = " ".join(f"{number:>8.0f}" for number in bytes_a_row)
        return f"{name:16} {self.rows:>11,} {self.seconds:>8.1f} {self.cpu:>8.1f} {memory} {figures}"


HEADINGS = (
    f"{'step':16} {'rows':>11} {'seconds':>8} {'CPU s':>8} {'driver':>7} {'worker':>7} {'Java':>7} "
    f"{'read/row':>8} {'wrote':>8} {'shuffled':>8}"
)


@contextmanager
def watched(found: Measured, every_seconds: float = 0.2) -> Iterator[None]:
    """Keep the largest sizes of the processes while the body runs."""
    stop = threading.Event()

    def watch() -> None:
        while True:
            _sample(found)
            if stop.wait(every_seconds):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sample(found: Measured) -> None:
    found.driver = max(found.driver, psutil.Process().memory_info().rss / 2**20)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            kind = "java" if "java" in process.name() else "worker"
            # Not the proportional size: the kernel walks every page of Java's for it, five times a second.
            size = process.memory_info().rss / 2**20
            setattr(found, kind, max(getattr(found, kind), size))


def measure(spark, step: Step, place: Path, num_rows: int) -> Measured:
    """Make a step's input below a folder, then run it."""
    step.make(place, num_rows)
    found = Measured(num_rows, stored=_bytes_below(place))
    before, own = stage_sums(spark) if spark else {}, psutil.Process().io_counters()
    start, used = time.monotonic(), cpu_seconds()
    with watched(found):
        step.run(spark, place)
    found.seconds, found.cpu = time.monotonic() - start, cpu_seconds() - used
    if step.uses_spark:
        moved = {name: number - before[name] for name, number in stage_sums(spark).items()}
        found.read, found.written, found.shuffled = moved["read"], moved["written"], moved["shuffled"]
    else:
        after = psutil.Process().io_counters()
        found.read, found.written = after.read_chars - own.read_chars, after.write_chars - own.write_chars
    return found


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def figures(name: str, runs: list[Measured]) -> dict[str, float]:
    """What is printed of a step at several sizes."""
    last = runs[-1]
    found = {
        f"bytes_read_per_byte_stored_{name}": last.read / last.stored,
        f"bytes_written_a_row_{name}": last.written / last.rows,
        f"bytes_shuffled_a_row_{name}": last.shuffled / last.rows,
        f"worker_megabytes_{name}": last.worker,
    }
    if len(runs) > 1:
        tens = math.log10(last.rows / runs[-2].rows)
        found[f"growth_{name}_10x"] = (last.cpu / runs[-2].cpu) ** (1 / tens)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Make, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--metadata-rows", type=int, default=10_000_000, help="0 for none")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--master", default="local[*]")
    parser.add_argument("--quick", action="store_true", help="sizes at which the figures mean nothing")
    options = parser.parse_args(arguments)
    sizes, most = ([1_000, 2_000], 0) if options.quick else (sorted(options.rows), options.metadata_rows)
    found: dict[str, float] = {}
    drivers: dict[int, float] = {}
    with spark_session("bench", options.master) as spark:
        print(HEADINGS)
        for name in options.steps:
            step, runs = STEPS[name], []
            for num_rows in sizes if step.uses_spark or not most else [*sizes, most]:
                with tempfile.TemporaryDirectory() as folder:
                    runs.append(measure(spark, step, Path(folder), num_rows))
                print(runs[-1].line(name), flush=True)
                drivers[num_rows] = max(drivers.get(num_rows, 0.0), runs[-1].driver)
            found |= figures(name, runs)
    for num_rows, megabytes in sorted(drivers.items()):
        found[f"driver_megabytes_{_short(num_rows)}"] = megabytes
    for name, value in found.items():
        print(f"figure {name} {value:.4g}")


def _short(number: int) -> str:
    """10000000 as 10m, 10000 as 10k."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if number >= size and number % size == 0:
            return f"{number // size}{letter}"
    return str(number)


if __name__ == "__main__":
    main()
