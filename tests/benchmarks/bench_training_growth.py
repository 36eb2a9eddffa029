"""How the time of a pair grows from ten thousand pairs to a million: reading, decoding, tokenizing.

    python -m tests.benchmarks.bench_training_growth [--pairs 1000000] [--measured 20000] [--cpu-time]

What a worker trains on is made ready as in training and thrown away: no model runs. Pairs are small (32
pixels, vectors of 64 numbers), so that what grows with their number is not hidden behind decoding, and
nothing is kept in memory from one epoch to the next. Shards are one file under many names, and the disk's
cache holds it. Time of a pair is that of opening the data set, its share of an epoch, and that of each of
`--measured` pairs; sizes take turns. Peak memory is the process's, sizes in ascending order in the first
round. The figure's name says which sizes it compares; flat is 1.
"""

import argparse
import resource
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.benchmarks.clocks import CLOCKS
from tests.benchmarks.generated_pairs import generated_student, write_many_pairs
from training.batches import BatchSource
from training.prefetch import Prefetched
from training.settings import Phase
from training.sources import DataSources
from training.student import Student

SIDE, WIDTH = 32, 64


@dataclass(frozen=True)
class Pass:
    """Seconds to open a data set, seconds of each pair after that, and the process's peak memory by then."""

    open_seconds: float
    pair_seconds: float
    peak_bytes: int


def main(arguments: list[str] | None = None) -> None:
    """Generate both sizes, read them in turns, print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        passes = measure(Path(folder), (options.few, options.pairs), options)
    few, many = (report(size, passes[size]) for size in passes)
    print(f"figure growth_{short(options.pairs)}_vs_{short(options.few)} {many / few:.3f}")


def measure(place: Path, sizes: tuple[int, ...], options: argparse.Namespace) -> dict[int, list[Pass]]:
    """Passes over data sets of these sizes, which take turns."""
    clock = CLOCKS["cpu" if options.cpu_time else "wall"]
    student = generated_student("nano", WIDTH)
    per_shard = min(options.pairs_per_shard, options.few)
    for size in sizes:
        write_many_pairs(place / str(size), size, side=SIDE, width=WIDTH, pairs_per_shard=per_shard)
    passes: dict[int, list[Pass]] = {size: [] for size in sizes}
    for _ in range(options.rounds):
        for size in sizes:
            passes[size].append(read_pairs(place / str(size), student, options, clock))
    return passes


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--measured", type=int, default=20_000, help="pairs to read in a pass")
    parser.add_argument("--pairs-per-shard", type=int, default=2_500)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="processor time, not the clock's")
    return parser.parse_args(arguments)


def read_pairs(
    folder: Path, student: Student, options: argparse.Namespace, clock: Callable[[], float]
) -> Pass:
    """Open the data set and make batches of it."""
    phase = phase_of(options.batch, options.measured // options.batch)
    start = clock()
    sources = DataSources(
        folder / "embedded", folder / "selection", WIDTH, SIDE, cache_bytes=0, unit_cache_bytes=0
    )
    batches = BatchSource(phase, sources, student.tokenizer, seed=0)
    opened = clock()
    for _ in Prefetched(batches, range(phase.num_steps)):
        pass
    per_pair = (clock() - opened) / (phase.num_steps * phase.batch_size)
    return Pass(opened - start, per_pair, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def phase_of(batch_size: int, num_steps: int) -> Phase:
    """Both towers look at pairs; nothing is asked of them."""
    return Phase(
        name="growth",
        towers=("image", "text"),
        data="pairs",
        terms={},
        num_steps=num_steps,
        batch_size=batch_size,
        learning_rate=0.0,
        num_anchors=64,
    )


def report(num_pairs: int, passes: list[Pass]) -> float:
    """Print a row of the table; returns the seconds of a pair, opening included."""
    opening = statistics.median(each.open_seconds for each in passes)
    reading = statistics.median(each.pair_seconds for each in passes)
    taken = opening / num_pairs + reading
    print(
        f"{num_pairs:>9} pairs: opened in {opening:.2f} s, {taken * 1e6:.0f} microseconds a pair, "
        f"peak {passes[0].peak_bytes / 2**20:.0f} MB"
    )
    return taken


def short(number: int) -> str:
    """1m, 200k, 10k."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if number % size == 0:
            return f"{number // size}{letter}"
    return str(number)


if __name__ == "__main__":
    main()
