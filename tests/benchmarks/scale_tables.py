"""Made-up rows for bench_scale: what the steps of the data path leave, without images, at any size."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.filter_pairs import SHARDS_PER_TASK
from training.selection import LANGUAGES
from training.shards import to_bf16

RAW_ROWS, KEPT_ROWS = 10_000, 7_000
GROUP_ROWS = 10_000
# Narrow: the bytes of vectors are no question here.
WIDTH = 64
COLOURS = np.array(["red", "green", "blue", "yellow", "black", "white", "brown", "grey"])
HAN = np.array(list("红绿蓝黄黑白棕灰"))


def pairs(shard: int, num_rows: int) -> dict[str, np.ndarray]:
    """Keys, URLs, captions and hashes of a shard."""
    at = np.arange(num_rows)
    number = (shard * RAW_ROWS + at).astype(str)
    colour = np.random.default_rng(shard).integers(0, len(COLOURS), num_rows)
    join = np.strings.add
    return {
        "key": np.strings.zfill(number, 12),
        "shard": np.full(num_rows, f"{shard:05d}"),
        "url": join("http://host.example/pictures/", join(number, ".jpg")),
        "zh": join("一只", join(HAN[colour], join("色的猫和沙发", number))),
        "en": join("a ", join(COLOURS[colour], join(" cat on the sofa of house ", number))),
        "sha256": np.strings.zfill(number, 64),
    }


def shards_of(num_rows: int, rows_per_shard: int) -> Iterator[tuple[int, int]]:
    """(number of a shard, its rows)."""
    for shard, first in enumerate(range(0, num_rows, rows_per_shard)):
        yield shard, min(rows_per_shard, num_rows - first)


def write_raw(folder: Path, num_rows: int) -> None:
    """img2dataset's records, a quarter of them failures."""
    folder.mkdir(parents=True)
    for shard, number in shards_of(num_rows, RAW_ROWS):
        rows = pairs(shard, number)
        del rows["shard"]
        failed = np.arange(number) % 4 == 3
        sides = pa.array(np.full(number, 256, np.int32), mask=failed)
        outcome = {
            "status": np.where(failed, "failed_to_download", "success"),
            "error_message": pa.array(np.full(number, "HTTP Error 404: Not Found"), mask=~failed),
            "width": sides,
            "height": sides,
        }
        pq.write_table(pa.table({**rows, **outcome}), folder / f"{shard:05d}.parquet")


def write_kept(folder: Path, num_rows: int) -> None:
    """`kept.parquet` of filter_pairs: files of a task's shards."""
    _write_parts(folder / "kept.parquet", (pairs(*shard) for shard in shards_of(num_rows, KEPT_ROWS)))


def write_selected(folder: Path, num_rows: int) -> None:
    """`selected.parquet` of select_pairs, of which everything is used."""

    def rows(shard: int, number: int) -> dict:
        made = pairs(shard, number)
        found = {name: made[name] for name in ("key", "shard", *LANGUAGES)}
        used = {f"use_{lang}": np.ones(number, bool) for lang in LANGUAGES}
        return found | used | {f"score_{lang}": np.full(number, 0.5) for lang in LANGUAGES}

    _write_parts(folder / "selected.parquet", (rows(*shard) for shard in shards_of(num_rows, KEPT_ROWS)))


def _write_parts(folder: Path, shards: Iterator[dict]) -> None:
    folder.mkdir(parents=True)
    waiting: list[pa.Table] = []
    for number, rows in enumerate(shards, 1):
        waiting.append(pa.table(rows))
        if number % SHARDS_PER_TASK == 0:
            _write_part(folder, number, waiting)
            waiting = []
    if waiting:
        _write_part(folder, number, waiting)


def _write_part(folder: Path, number: int, tables: list[pa.Table]) -> None:
    pq.write_table(pa.concat_tables(tables), folder / f"part-{number:06d}.parquet", row_group_size=GROUP_ROWS)


def write_scores(folder: Path, num_rows: int) -> None:
    """embed_pairs' scores, with narrow random vectors."""
    (folder / "scores").mkdir(parents=True)
    for shard, number in shards_of(num_rows, KEPT_ROWS):
        rows, rng = pairs(shard, number), np.random.default_rng(shard)
        vectors = rng.standard_normal((number, WIDTH), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        kept = {name: rows[name] for name in ("key", "shard", *LANGUAGES)}
        scores = {f"score_{lang}": rng.normal(0.3, 0.05, number) for lang in LANGUAGES}
        stored = pa.array([to_bf16(vector) for vector in vectors], pa.binary())
        table = pa.table({**kept, **scores, "vector": stored, "reason": pa.nulls(number, pa.string())})
        pq.write_table(table, folder / "scores" / f"{shard:05d}.parquet")
