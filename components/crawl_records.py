"""What a crawl's shards say of themselves: which are whole, which rows to try again, what came of it all.

img2dataset leaves a tar, a parquet with a row a URL and, last, `_stats.json`. A shard is finished when the
three agree; the others count for nothing and are made again.
"""

import contextlib
import errno
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.console import track
from infra.crawl_reasons import PASSING_REASONS, reason_of

SHARD_NAME = "{:05d}"
STATS = "_stats.json"


def num_rows(files: list[Path]) -> int:
    """How many rows parquet files have together."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def shard_numbers(shards: Path, first: int = 0) -> list[int]:
    """Numbers of the shards with statistics, from `first` on."""
    numbers = (int(file.name.removesuffix(STATS)) for file in shards.glob(f"*{STATS}"))
    return sorted(number for number in numbers if number >= first)


def _file(shards: Path, number: int, suffix: str) -> Path:
    return shards / f"{SHARD_NAME.format(number)}{suffix}"


def forget_unfinished(shards: Path, first: int) -> None:
    """Take away what there is of shards, from `first` on, that do not have all their rows.

    img2dataset takes a shard with statistics for finished. They may be half written, and a row that could
    not be written for want of space is missing without a word. A worker that outlived the crawl it was
    started for then writes to files that are gone, and not into those of the worker that comes after it.
    """
    for number in shard_numbers(shards, first):
        stats = _file(shards, number, STATS)
        try:
            whole = json.loads(stats.read_text())["count"] == num_rows([_file(shards, number, ".parquet")])
        except (ValueError, OSError) as error:
            # pyarrow's for broken pages has no errno; a disk's or a network's is no reason to crawl again.
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                raise
            whole = False
        if not whole:
            stats.unlink()
    finished = set(shard_numbers(shards, first))
    for file in (*shards.glob("*.tar"), *shards.glob("*.parquet")):
        if int(file.stem) >= first and int(file.stem) not in finished and file.is_file():
            file.unlink()


def num_crawled(shards: Path, first: int) -> int:
    """Rows in shards with statistics, from `first` on."""
    return num_rows([_file(shards, number, ".parquet") for number in shard_numbers(shards, first)])


def read_rows(shards: Path, number: int) -> pa.Table:
    """A shard's rows."""
    return pq.read_table(_file(shards, number, ".parquet"), partitioning=None)


def may_pass(rows: pa.Table) -> list[bool]:
    """For each row whether it failed for a reason that may pass with time."""
    pairs = zip(rows["status"].to_pylist(), rows["error_message"].to_pylist(), strict=True)
    return [status != "success" and reason_of(message) in PASSING_REASONS for status, message in pairs]


def write_failed(shards: Path, folder: Path, first: int = 0) -> Path | None:
    """Write the rows worth another try, of shards from `first` on, to `folder/NNNNN.parquet`; None for none.

    The name is the number of the first shard that shall hold them; a column `shard` tells where they are.
    """
    numbers = shard_numbers(shards, first)
    file = folder / f"{SHARD_NAME.format(numbers[-1] + 1)}.parquet"
    partial = file.with_suffix(".partial")
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        writer, count = None, 0
        for number in numbers:
            rows = read_rows(shards, number)
            failed = rows.filter(pa.array(may_pass(rows), pa.bool_()))
            failed = failed.append_column("shard", pa.array([number] * len(failed), pa.int64()))
            writer = writer or stack.enter_context(pq.ParquetWriter(partial, failed.schema))
            writer.write_table(failed)
            count += len(failed)
    if not count:
        partial.unlink()
        return None
    return partial.replace(file)


def take_out(shards: Path, again: Path) -> None:
    """Take rows that are tried again out of the shards where they failed; done before, nothing happens."""
    places = pq.read_table(again, columns=["shard", "key"]).sort_by("shard")
    # Runs of one shard: looking for each in all of them took time with the square of the shards.
    runs = pc.run_end_encode(places["shard"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    for number, start, end in zip(runs.values.to_pylist(), [0, *ends], ends, strict=False):
        rows, file = read_rows(shards, number), _file(shards, number, ".parquet")
        keys = places["key"].slice(start, end - start)
        kept = rows.filter(pc.invert(pc.is_in(rows["key"], value_set=keys)))
        if len(kept) < len(rows):
            pq.write_table(kept, file.with_suffix(".partial"))
            file.with_suffix(".partial").replace(file)


def count_outcomes(shards: Path) -> dict:
    """What the crawl came to, from the shards' own records; it may have been cut off and gone on with.

    Seconds are those in which a shard was at work, megabytes those of the shards.
    """
    downloaded, failures, spans, num_bytes = 0, Counter(), [], 0
    for number in shard_numbers(shards):
        rows = read_rows(shards, number).select(["status", "error_message"])
        failed = rows.filter(pc.not_equal(rows["status"], "success"))["error_message"]
        downloaded += len(rows) - len(failed)
        failures.update(map(reason_of, failed.to_pylist()))
        stats = json.loads(_file(shards, number, STATS).read_text())
        spans.append((stats["start_time"], stats["end_time"]))
        num_bytes += _file(shards, number, ".tar").stat().st_size
    urls, seconds = downloaded + failures.total(), covered_seconds(spans)
    return {
        "urls": urls,
        "downloaded": downloaded,
        "success_rate": round(downloaded / urls, 4),
        "failures": dict(failures.most_common()),
        # A clock that was set back leaves no time at all.
        "images_per_second": round(downloaded / seconds, 1) if seconds else 0.0,
        "seconds": round(seconds, 1),
        "megabytes": round(num_bytes / 1e6, 1),
    }


def covered_seconds(spans: list[tuple[float, float]]) -> float:
    """How much time the spans (start, end) cover, overlaps once and gaps not at all."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


@contextlib.contextmanager
def shown(shards: Path, first: int, total: int, text: str, every_seconds: float = 2.0) -> Iterator[None]:
    """Show how many rows are crawled, from the statistics of shards as they appear."""
    finished = threading.Event()

    def watch() -> None:
        seen: set[int] = set()
        with track("download_pairs", total=total, desc=text, initial=_new_rows(shards, first, seen)) as bar:
            while not finished.wait(every_seconds):
                if count := _new_rows(shards, first, seen):
                    bar.update(count)
            bar.update(_new_rows(shards, first, seen))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _new_rows(shards: Path, first: int, seen: set[int]) -> int:
    """Rows of the shards that have not been seen, which then they have."""
    count = 0
    for number in set(shard_numbers(shards, first)) - seen:
        with contextlib.suppress(ValueError):  # not wholly written yet
            count += json.loads(_file(shards, number, STATS).read_text())["count"]
            seen.add(number)
    return count
