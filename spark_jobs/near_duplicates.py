"""Near-duplicates in the teacher's space, found at scale: pictures that the teacher sees as one.

Comparing all pairs is out of the question, so vectors are put into cells and compared within a cell only.
A cell is a pair of cross-polytope hashes: of random directions, the one that a centred vector leans to most,
either way (arXiv 1509.02897). A vector goes into its nearest cell and the next. Near vectors meet with a
known chance, so several tables of cells, each with directions of its own, find the share `RECALL` of those at
the threshold, and more of the nearer ones.

Of two near-duplicates the worse goes: the one of lower score, or of the later key. Chains are left out on
purpose (no connected components): a pair goes for a better one that it resembles itself, so that a dense
region of the space is thinned and not emptied.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

REASON = "near_duplicate"
RECALL = 0.99
MAX_TABLES = 40
# Rows of a cell, on average. More are compared faster than further tables are shuffled.
CELL_ROWS = 256
# What a row carries through the shuffle: its vector turned to so many dimensions, a byte each. Cosines keep
# an error below (1 - cosine²) / 22 where vectors are wider, next to none where they are not.
SKETCH_WIDTH = 512
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
        turned = vectors @ self.turn
        return np.rint(127 * turned / np.abs(turned).max(axis=1, keepdims=True)).astype(np.int8)


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
    return Tables(centre, directions, turn.astype(np.float32))


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
    sketched = rows.select("key", "score", "vector").mapInArrow(
        _sketching(tables), "key string, score double, sketch binary, cells array<long>"
    )
    placed = sketched.select(F.explode("cells").alias("cell"), "score", "key", "sketch")
    num_partitions = max(2, 2 * num_rows * tables.num_tables // ROWS_PER_PARTITION)
    ordered = placed.repartition(num_partitions, "cell").sortWithinPartitions("cell", F.desc("score"), "key")
    found = ordered.mapInArrow(_finding(cosine), "key string, duplicate_of string, similarity double")
    nearest = F.max(F.struct("similarity", "duplicate_of")).alias("nearest")
    return found.groupBy("key").agg(nearest).select("key", "nearest.duplicate_of", "nearest.similarity")


def _sketching(tables: Tables) -> Callable:
    def sketch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in filter(len, batches):
            vectors = from_bf16(batch["vector"])
            sketches = [row.tobytes() for row in tables.sketches(vectors)]
            cells = tables.cells(vectors)
            columns = {
                "key": batch["key"],
                "score": batch["score"],
                "sketch": pa.array(sketches, pa.binary()),
                "cells": pa.FixedSizeListArray.from_arrays(cells.ravel(), cells.shape[1]).cast(
                    pa.list_(pa.int64())
                ),
            }
            yield pa.RecordBatch.from_pydict(columns)

    return sketch


def _finding(cosine: float) -> Callable:
    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        cell, leaders = None, None
        for batch in filter(len, batches):
            keys = batch["key"].to_numpy(zero_copy_only=False)
            sketches = _unit(batch["sketch"])
            for start, stop in _blocks(batch["cell"].to_numpy()):
                block = Rows(keys[start:stop], sketches[start:stop])
                same = batch["cell"][start].as_py() == cell
                cell = batch["cell"][start].as_py()
                matches, leaders = match(block, leaders if same else block[:0], cosine)
                yield matches

    return find


@dataclass(frozen=True)
class Rows:
    """Rows of a cell, the best first: keys, and sketches of unit length."""

    keys: np.ndarray
    sketches: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows) -> "Rows":
        return Rows(self.keys[rows], self.sketches[rows])

    def __add__(self, other: "Rows") -> "Rows":
        return Rows(np.concatenate([self.keys, other.keys]), np.concatenate([self.sketches, other.sketches]))


def match(block: Rows, leaders: Rows, cosine: float) -> tuple[pa.RecordBatch, Rows]:
    """(rows of the block with the nearest better row as near as `cosine`, leaders for the next block).

    Leaders are rows of the same cell, better than the block's, that resemble no better one themselves.
    """
    better = leaders + block
    # Of a row's cosines only those with better rows count: all leaders, and what is before it in the block.
    cosines = np.tril(block.sketches @ better.sketches.T, len(leaders) - 1)
    nearest = cosines.argmax(axis=1)
    similarity = cosines[np.arange(len(block)), nearest]
    found = similarity >= cosine
    columns = [block.keys[found], better.keys[nearest[found]], similarity[found].astype(np.float64)]
    names = ["key", "duplicate_of", "similarity"]
    types = [pa.string(), pa.string(), pa.float64()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names), (leaders + block[~found])[-MAX_LEADERS:]


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
