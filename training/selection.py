"""What select_pairs chose, asked shard by shard: nobody holds the keys of all pairs in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from infra.storage import AnyPath, dataset
from training.shard_rows import ShardRows

LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Counts:
    """By shard: selected pairs, their captions to use, and pairs of which both captions are."""

    pairs: dict[str, int]
    captions: dict[str, int]
    parallel: dict[str, int]


class Selection:
    """`selected.parquet` of select_pairs, a file or a folder of them."""

    def __init__(self, folder: AnyPath):
        self.rows = dataset(folder / "selected.parquet")
        self._by_shard = ShardRows(self.rows)

    def counts(self) -> Counts:
        """How much there is in each shard."""
        found: dict[str, np.ndarray] = {}
        for batch in self.rows.to_batches(columns=["shard", *(f"use_{lang}" for lang in LANGUAGES)]):
            for shard, *numbers in _counts(batch):
                found[shard] = found.get(shard, 0) + np.array(numbers)
        return Counts(*({shard: int(found[shard][column]) for shard in sorted(found)} for column in range(3)))

    def of(self, shard: str) -> dict[str, dict[str, float]]:
        """Of each selected key of a shard the teacher's score of every caption to use, by language."""
        columns = ["key", *(f"{kind}_{lang}" for kind in ("use", "score") for lang in LANGUAGES)]
        rows = self._by_shard.of(shard, columns).to_pylist()
        return {
            row["key"]: {lang: row[f"score_{lang}"] for lang in LANGUAGES if row[f"use_{lang}"]}
            for row in rows
        }

    def captions(self) -> Iterator[list[str]]:
        """The captions to use of each pair, shard by shard, in order of their keys; no tar is read for it.

        Raises:
            ValueError: the selection has no captions.
        """
        if missing := set(LANGUAGES) - set(self.rows.schema.names):
            raise ValueError(
                f"selected.parquet has no column {', '.join(sorted(missing))}: an older version of dcclip "
                "wrote it; run select_pairs again"
            )
        for shard, number in self.counts().captions.items():
            rows = self._by_shard.of(shard, ["key", *LANGUAGES]).sort_by("key") if number else pa.table({})
            for row in rows.to_pylist():
                yield [row[lang] for lang in LANGUAGES if row[lang]]

    def scores(self, lang: str, most: int = 1_000_000) -> np.ndarray:
        """The teacher's scores of the captions to use in a language, about `most` of them evenly taken."""
        used = ds.field(f"use_{lang}")
        every = max(1, self.rows.count_rows(filter=used) // most)
        batches = self.rows.to_batches(columns=[f"score_{lang}"], filter=used)
        return np.concatenate([np.zeros(0), *(batch.column(0).to_numpy()[::every] for batch in batches)])


def _counts(batch: pa.RecordBatch) -> list[tuple]:
    """(shard, pairs, captions, parallel) of a batch of rows."""
    zh, en = (batch[f"use_{lang}"].cast(pa.int64()) for lang in LANGUAGES)
    table = pa.table({"shard": batch["shard"], "captions": pc.add(zh, en), "parallel": pc.multiply(zh, en)})
    sums = [("shard", "count"), ("captions", "sum"), ("parallel", "sum")]
    grouped = table.group_by("shard").aggregate(sums).to_pylist()
    return [(row["shard"], row["shard_count"], row["captions_sum"], row["parallel_sum"]) for row in grouped]
