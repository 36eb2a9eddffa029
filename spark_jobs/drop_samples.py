"""Ten rows of each drop reason, with their pictures where there are any: what a person looks at.

Rows come from the first shards, so that few archives are opened. A picture is shown small, as JPEG of our
own making; a caption is text.
"""

import io
import json
from functools import reduce
from pathlib import Path

from PIL import Image
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from infra.storage import AnyPath
from spark_jobs.rules import LANGUAGES
from training import shards

COLUMNS = ("step", "reason", "key", "shard", "url", "zh", "en")
THUMBNAIL_SIDE = 96
# A caption that was dropped for its length shall not make the report long.
MAX_CHARS = 200


def sample_drops(spark: SparkSession, tables: dict[str, Path], per_reason: int = 10) -> list[dict]:
    """Up to `per_reason` rows of each reason of each step, ordered by step, reason and key.

    Args:
        tables: the parquet of dropped rows by the step that dropped them; columns of `COLUMNS` that one
            lacks are null.
    """
    frames = [_rows(spark.read.parquet(str(path)), step) for step, path in tables.items() if path.exists()]
    if not frames:
        return []
    rows = reduce(DataFrame.union, frames)
    order = Window.partitionBy("step", "reason").orderBy("shard", "key", "url")
    chosen = rows.withColumn("number", F.row_number().over(order)).where(F.col("number") <= per_reason)
    found = [row.asDict() for row in chosen.drop("number").collect()]
    return sorted(found, key=lambda row: [str(row[name]) for name in COLUMNS])


def _rows(dropped: DataFrame, step: str) -> DataFrame:
    given = {name: F.col(name).cast("string") for name in COLUMNS if name in dropped.columns}
    given |= {name: F.substring(given[name], 1, MAX_CHARS) for name in LANGUAGES if name in given}
    absent = F.lit(None).cast("string")
    columns = {**dict.fromkeys(COLUMNS, absent), **given, "step": F.lit(step)}
    return dropped.select(*[column.alias(name) for name, column in columns.items()])


def thumbnails(raw_shards: AnyPath, samples: list[dict]) -> dict[str, bytes]:
    """Small JPEGs of the samples' pictures, by key; those that have none or cannot be read are left out."""
    wanted: dict[str, set[str]] = {}
    for sample in samples:
        if sample["shard"] and sample["key"]:
            wanted.setdefault(sample["shard"], set()).add(sample["key"])
    found: dict[str, bytes] = {}
    for shard, keys in sorted(wanted.items()):
        found |= _pictures(raw_shards / f"{shard}.tar", keys)
    return found


def _pictures(path: AnyPath, keys: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    if not path.is_file():
        return found
    for sample in shards.read_unbroken(path):
        if sample["__key__"] in keys:
            try:
                found[sample["__key__"]] = _small(shards.image_of(sample))
            except (KeyError, OSError, ValueError, Image.DecompressionBombError):
                continue  # no picture to show is what its reason may say
            if len(found) == len(keys):
                break
    return found


def _small(picture: Image.Image) -> bytes:
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def write_samples(folder: Path, samples: list[dict], pictures: dict[str, bytes]) -> None:
    """Write `samples.json` and one JPEG a picture below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, content in pictures.items():
        (folder / f"{key}.jpg").write_bytes(content)
    rows = [{**row, "picture": f"{row['key']}.jpg" if row["key"] in pictures else None} for row in samples]
    (folder / "samples.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1))
