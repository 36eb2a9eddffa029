"""Near-duplicates in the teacher's space, found at scale: pictures that the teacher sees as one.

Comparing all pairs is out of the question, so vectors are put into cells and compared within a cell only.
A cell is a pair of cross-polytope hashes: of random directions, the one that a centred vector leans to most,
either way (arXiv 1509.02897). A vector goes into its nearest cell and the next. Near vectors meet with a
known chance, so several tables of cells, each with directions of its own, find the share `RECALL` of those at
the threshold, and more of the nearer ones.

Through the shuffle into cells a row goes as a number and a short sketch, 92 bytes a cell (574 with its key
and a long sketch). Rows that are near by the short sketches, with some slack, are candidates: a join brings
the long sketches of the two together, and these decide. Only rows that may be of a candidate are joined.

Of two near-duplicates the worse goes: the one of lower score, or of the later key. Chains are left out on
purpose (no connected components): a pair goes for a better one that it resembles itself, so that a dense
region of the space is thinned and not emptied.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

REASON = "near_duplicate"
RECALL = 0.99
MAX_TABLES = 40
# Rows of a cell, on average. More are compared faster than further tables are shuffled.
CELL_ROWS = 256
# What decides: vectors turned to so many dimensions, a byte each. Cosines keep an error below
# (1 - cosine²) / 22 where vectors are wider, next to none where they are not.
SKETCH_WIDTH = 512
# What a row carries into each cell: so many dimensions. A candidate is as near as the threshold less some
# standard deviations of such a cosine: up to 1% of the pairs right at it are overlooked, few of nearer ones.
SHORT_WIDTH, SLACK = 48, 3.5
# The least slack: a byte rounds.
ROUNDING = 0.01
# Of each row in a cell so many candidates are verified, the nearest.
MAX_CANDIDATES = 3
# The driver keeps which rows are of candidates as bits of so many numbers; a number stands for several rows.
MIN_BITS, MAX_BITS = 16, 28
# Rows compared at once, and rows of a huge cell that later ones are compared with: memory stays bounded.
BLOCK_ROWS, MAX_LEADERS = 2_048, 8_192
SAMPLE_ROWS = 4_096
ROWS_PER_PARTITION = 250_000


@dataclass(frozen=True)
class Tables:
    """Cells for vectors of one width: `directions` (width, tables, 2, directions) around `centre`."""

    centre: np.ndarray
    directions: np.ndarray
    turn: np.ndarray
    short_turn: np.ndarray

    @property
    def num_tables(self) -> int:
        """How many there are."""
        return self.directions.shape[1]

    def cells(self, vectors: np.ndarray) -> np.ndarray:
        """The cells of each vector, (rows, cells): two a table."""
        width, num_tables, _, num_directions = self.directions.shape
        if not num_directions:
            return np.zeros((len(vectors), 1), np.int64)
        leaning = (vectors - self.centre) @ self.directions.reshape(width, -1)
        cells = cells_of(leaning.reshape(len(vectors), num_tables, 2, num_directions))
        numbers = np.arange(num_tables)[:, None] * (2 * num_directions) ** 2
        return (cells + numbers).reshape(len(vectors), -1)

    def sketches(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors to compare by, int8 (rows, at most SKETCH_WIDTH); their lengths mean nothing."""
        return _bytes(vectors @ self.turn)

    def short_sketches(self, vectors: np.ndarray) -> np.ndarray:
        """As `sketches`, of at most SHORT_WIDTH dimensions."""
        return _bytes(vectors @ self.short_turn)

    def slack(self, cosine: float) -> float:
        """How far a cosine of short sketches may be off."""
        width = self.turn.shape[0]
        left_out = max(0.0, 1 / SHORT_WIDTH - 1 / width)
        return max(ROUNDING, SLACK * (1 - cosine**2) * math.sqrt(left_out))


def _bytes(turned: np.ndarray) -> np.ndarray:
    largest = np.abs(turned).max(axis=1, keepdims=True)
    return np.rint(127 * turned / np.where(largest, largest, 1)).astype(np.int8)


def cells_of(leaning: np.ndarray) -> np.ndarray:
    """How much rows lean to directions, (…, 2, directions), to the nearest cell and the next, (…, 2).

    The next cell differs in the hash that was decided more closely; asking there too halves the tables.
    """
    size, side = np.abs(leaning), 2 * leaning.shape[-1]
    first, largest = _strongest(size, leaning)
    np.put_along_axis(size, first[..., None] // 2, -1.0, axis=-1)
    second, next_largest = _strongest(size, leaning)
    closer = np.diff(largest - next_largest, axis=-1)[..., 0] > 0
    near = first[..., 0] * side + first[..., 1]
    after = np.where(closer, second[..., 0] * side + first[..., 1], first[..., 0] * side + second[..., 1])
    return np.stack([near, after], axis=-1)


def _strongest(size: np.ndarray, leaning: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hash, size) of the largest in the last axis; a direction and its opposite are two hashes."""
    at = size.argmax(axis=-1)[..., None]
    forward = np.take_along_axis(leaning, at, axis=-1) > 0
    return (2 * at + forward)[..., 0], np.take_along_axis(size, at, axis=-1)[..., 0]


def plan_tables(sample: np.ndarray, num_rows: int, cosine: float) -> Tables:
    """Tables that find vectors as near as `cosine` among `num_rows` like those of `sample`."""
    rng = np.random.default_rng(0)
    width = sample.shape[1]
    centre = sample.mean(axis=0)
    # Few rows are one cell; a hash needs two directions to choose from.
    few = num_rows <= 4 * CELL_ROWS
    num_directions = 0 if few else max(2, round(math.sqrt(num_rows / CELL_ROWS) / 2))
    num_tables = 1 if few else tables_needed(_centred(cosine, sample, centre), num_directions)
    directions = rng.standard_normal((width, num_tables, 2, num_directions), np.float32)
    turn = np.linalg.qr(rng.standard_normal((width, min(width, SKETCH_WIDTH))))[0]
    short_turn = _short_turn(centre, rng.standard_normal((width, min(width, SHORT_WIDTH))))
    return Tables(centre, directions, turn.astype(np.float32), short_turn.astype(np.float32))


def _short_turn(centre: np.ndarray, random: np.ndarray) -> np.ndarray:
    """The first direction is the centre's, which all vectors share and whose part of a cosine is exact then.

    The others stand for all that are at right angles to it.
    """
    width, short = random.shape
    turn = np.linalg.qr(np.concatenate([centre[:, None], random[:, 1:]], axis=1))[0]
    turn[:, 1:] *= math.sqrt((width - 1) / (short - 1)) if short > 1 else 1
    return turn


def _centred(cosine: float, sample: np.ndarray, centre: np.ndarray) -> float:
    """What a cosine becomes once vectors are seen from their centre, where they spread out."""
    shared = float(centre @ centre)
    spread = float(np.square(sample - centre).sum(axis=1).mean())
    return (cosine - shared) / spread if spread else 1.0


def tables_needed(cosine: float, num_directions: int, num_trials: int = 4_000) -> int:
    """So many tables leave no more than 1 - RECALL of the vectors at a cosine apart in all of them."""
    rng = np.random.default_rng(0)
    one, noise = rng.standard_normal((2, num_trials, 2, num_directions), np.float32)
    cosine = min(1.0, max(0.0, cosine))
    other = cosine * one + math.sqrt(1 - cosine**2) * noise
    met = (cells_of(one)[:, :, None] == cells_of(other)[:, None, :]).any(axis=(1, 2)).mean()
    # Neither never nor always: the trials are finite.
    apart = math.log1p(-min(max(met, 1e-3), 1 - 1e-3))
    return min(MAX_TABLES, math.ceil(math.log(1 - RECALL) / apart))


def from_bf16(column: pa.Array) -> np.ndarray:
    """Float32 (rows, width) of a binary column of bfloat16."""
    raw = np.frombuffer(b"".join(column.to_pylist()), np.uint16)
    return (raw.astype(np.uint32) << 16).view(np.float32).reshape(len(column), -1)


def near_duplicates(rows: DataFrame, num_rows: int, cosine: float) -> DataFrame:
    """Rows to drop: `key`, the better `duplicate_of`, and the `similarity` (cosine) of the two.

    Args:
        rows: `key`, `score` (higher is better) and `vector`, unit vectors as bfloat16 bytes.
        num_rows: about how many they are.
    """
    sample = rows.select("vector").limit(SAMPLE_ROWS).toArrow()["vector"].combine_chunks()
    if not len(sample):
        return rows.selectExpr("key", "key as duplicate_of", "score as similarity").limit(0)
    sample = from_bf16(sample)
    tables = plan_tables(sample, num_rows, cosine)
    numbered = rows.select(F.xxhash64("key").alias("id"), "key", "score", "vector")
    num_partitions = max(2, num_rows // ROWS_PER_PARTITION)
    return _verified(
        numbered, _candidates(numbered, tables, num_rows, cosine), tables, cosine, num_partitions
    )


def _candidates(numbered: DataFrame, tables: Tables, num_rows: int, cosine: float) -> DataFrame:
    """Pairs `id`, `other` that share a cell and are near by their short sketches; some more than once."""
    placed = numbered.select("id", "score", "vector").mapInArrow(
        _placing(tables), "id long, score double, sketch binary, cells array<long>"
    )
    placed = placed.select(F.explode("cells").alias("cell"), "score", "id", "sketch")
    num_partitions = max(2, 2 * num_rows * tables.num_tables // ROWS_PER_PARTITION)
    ordered = placed.repartition(num_partitions, "cell").sortWithinPartitions("cell", F.desc("score"), "id")
    slack = tables.slack(cosine)
    return ordered.mapInArrow(_finding(cosine - slack, cosine + slack), "id long, other long")


def _verified(
    numbered: DataFrame, candidates: DataFrame, tables: Tables, cosine: float, num_partitions: int
) -> DataFrame:
    """Of candidates as near as `cosine` by long sketches the worse, `key`, with its nearest better one."""
    pairs = candidates.repartition(num_partitions, "id").dropDuplicates(["id", "other"])
    pairs = pairs.persist(StorageLevel.DISK_ONLY)
    columns = "id long, key string, score double, sketch binary"
    needed = _needed(pairs, num_partitions * ROWS_PER_PARTITION)
    sketched = numbered.mapInArrow(_sketching(tables, needed), columns).repartition(num_partitions, "id")
    others = sketched.withColumnsRenamed({name: f"other_{name}" for name in ("key", "score", "sketch")})
    others = others.withColumnRenamed("id", "other")
    met = pairs.join(sketched, "id").repartition(num_partitions, "other").join(others, "other")
    found = met.mapInArrow(
        _judging(cosine), "key string, duplicate_of string, better_score double, similarity double"
    )
    # Of equally near ones the best, of equally good ones the first.
    order = F.struct(
        (-F.col("similarity")).alias("far"), (-F.col("better_score")).alias("bad"), "duplicate_of"
    )
    nearest = found.groupBy("key").agg(F.min(order).alias("nearest"))
    return nearest.select("key", "nearest.duplicate_of", (-F.col("nearest.far")).alias("similarity"))


@dataclass(frozen=True)
class Bits:
    """A set of row numbers, as bits of their last digits: it may seem to hold some that it does not."""

    packed: np.ndarray

    @classmethod
    def of(cls, stretches: Iterable[np.ndarray], num_bits: int) -> "Bits":
        """The set of all numbers; `num_bits` is a power of two."""
        found = np.zeros(num_bits, bool)
        for numbers in stretches:
            found[numbers & (num_bits - 1)] = True
        return cls(np.packbits(found))

    def hold(self, numbers: np.ndarray) -> np.ndarray:
        """Which of the numbers are in the set."""
        at = numbers & (8 * len(self.packed) - 1)
        return (self.packed[at >> 3] >> (7 - (at & 7)) & 1).astype(bool)


def _needed(pairs: DataFrame, num_rows: int) -> Bits:
    """The rows that are of a pair."""
    # All at once, before the driver asks for one partition after the other.
    pairs.count()
    num_bits = 1 << min(MAX_BITS, max(MIN_BITS, (2 * num_rows).bit_length()))
    ids = pairs.select(F.explode(F.array("id", "other")).alias("id")).mapInArrow(_listing, "ids binary")
    return Bits.of((np.frombuffer(row["ids"], np.int64) for row in ids.toLocalIterator()), num_bits)


def _listing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"ids": pa.array([batch["id"].to_numpy().tobytes()], pa.binary())})


def _placing(tables: Tables) -> Callable:
    def place(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in filter(len, batches):
            vectors = from_bf16(batch["vector"])
            cells = tables.cells(vectors)
            listed = pa.FixedSizeListArray.from_arrays(cells.ravel(), cells.shape[1])
            yield pa.RecordBatch.from_pydict(
                {
                    "id": batch["id"],
                    "score": batch["score"],
                    "sketch": _binary(tables.short_sketches(vectors)),
                    "cells": listed.cast(pa.list_(pa.int64())),
                }
            )

    return place


def _sketching(tables: Tables, needed: Bits) -> Callable:
    def sketch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        some = (batch.filter(pa.array(needed.hold(batch["id"].to_numpy()))) for batch in batches)
        for batch in filter(len, some):
            sketches = _binary(tables.sketches(from_bf16(batch["vector"])))
            given = {name: batch[name] for name in ("id", "key", "score")}
            yield pa.RecordBatch.from_pydict({**given, "sketch": sketches})

    return sketch


def _binary(sketches: np.ndarray) -> pa.Array:
    return pa.array([row.tobytes() for row in sketches], pa.binary())


def _finding(low: float, sure: float) -> Callable:
    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        cell, leaders = None, None
        for batch in filter(len, batches):
            ids = batch["id"].to_numpy()
            sketches = _unit(batch["sketch"])
            for start, stop in _blocks(batch["cell"].to_numpy()):
                block = Rows(ids[start:stop], sketches[start:stop])
                if batch["cell"][start].as_py() != cell:
                    cell, leaders = batch["cell"][start].as_py(), block[:0]
                found, leaders = match(block, leaders, low, sure)
                yield pa.RecordBatch.from_arrays([pa.array(side) for side in found], ["id", "other"])

    return find


def _judging(cosine: float) -> Callable:
    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in filter(len, batches):
            cosines = (_unit(batch["sketch"]) * _unit(batch["other_sketch"])).sum(axis=1, dtype=np.float64)
            yield _worse_and_better(batch, cosines).filter(pa.array(cosines >= cosine))

    return judge


def _worse_and_better(batch: pa.RecordBatch, cosines: np.ndarray) -> pa.RecordBatch:
    """Each pair of rows as the worse and the better: of lower score, or of the later key."""
    score, other_score = batch["score"], batch["other_score"]
    later = pc.greater(batch["key"], batch["other_key"])
    is_worse = pc.or_(pc.less(score, other_score), pc.and_(pc.equal(score, other_score), later))
    return pa.RecordBatch.from_pydict(
        {
            "key": pc.if_else(is_worse, batch["key"], batch["other_key"]),
            "duplicate_of": pc.if_else(is_worse, batch["other_key"], batch["key"]),
            "better_score": pc.if_else(is_worse, other_score, score),
            "similarity": pa.array(cosines),
        }
    )


@dataclass(frozen=True)
class Rows:
    """Rows of a cell, the best first: their numbers, and sketches of unit length."""

    ids: np.ndarray
    sketches: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows) -> "Rows":
        return Rows(self.ids[rows], self.sketches[rows])

    def __add__(self, other: "Rows") -> "Rows":
        return Rows(np.concatenate([self.ids, other.ids]), np.concatenate([self.sketches, other.sketches]))


def match(block: Rows, leaders: Rows, low: float, sure: float) -> tuple[tuple[np.ndarray, np.ndarray], Rows]:
    """((rows of the block, better rows as near as `low`), leaders for the next block).

    Of a row the nearest `MAX_CANDIDATES` are given. Leaders are rows of the same cell, better than the
    block's, of which none resembles a better one as much as `sure`.
    """
    better = leaders + block
    # Of a row's cosines only those with better rows count: all leaders, and what is before it in the block.
    cosines = np.tril(block.sketches @ better.sketches.T, len(leaders) - 1)
    rows, pairs, is_sure = np.arange(len(block)), [], np.zeros(len(block), bool)
    for _ in range(MAX_CANDIDATES):
        nearest = cosines.argmax(axis=1)
        similarity = cosines[rows, nearest]
        found = similarity >= max(low, ROUNDING)
        is_sure |= similarity >= min(sure, 1 - 1e-4)
        pairs.append((block.ids[found], better.ids[nearest[found]]))
        cosines[rows, nearest] = 0
    ids, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return (ids, others), (leaders + block[~is_sure])[-MAX_LEADERS:]


def _unit(sketches: pa.Array) -> np.ndarray:
    content = np.frombuffer(b"".join(sketches.to_pylist()), np.int8)
    rows = content.reshape(len(sketches), -1).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _blocks(cells: np.ndarray) -> Iterator[tuple[int, int]]:
    """Bounds of runs of one cell, the long ones cut."""
    bounds = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
    for start, stop in itertools.pairwise(bounds):
        for at in range(start, stop, BLOCK_ROWS):
            yield at, min(at + BLOCK_ROWS, stop)
