"""What embed_pairs does with one shard or one piece of a text list: the teacher's vectors, stored once.

Ray Data runs `Embedder` over the items (training/ray_edge.py). An item's output appears under its name only
when it is whole, and an output that is there is not made again, so a rerun goes on where the last one was.
Pictures are decoded and made ready beside the teacher's forward pass, a few batches ahead; so memory does not
grow with a shard, and the teacher does not wait where decoding has a core of its own. What an earlier version
of the data set has stored is taken from there (training/earlier.py).
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.object_store import SCHEME
from infra.places import fetched
from infra.storage import (
    AnyPath,
    StoragePath,
    any_path,
    appearing,
    dataset,
    open_ranges,
    pack,
    parquet_file,
    unpack,
)
from infra.store import identity
from infra.text_lines import read_lines
from training import shards, views
from training.earlier import EarlierShard, stored_texts
from training.shard_rows import ShardRows
from training.teacher import Teacher, load_teacher

LANGUAGES = ("zh", "en")
# Pictures, or texts, that the teacher sees at once.
BATCH = 64
# Why a kept pair gets no vectors.
UNREADABLE, MISSING = "unreadable_image", "missing_from_shard"
# Written out: a shard without a caption in one language must not have a column of another type.
SCORES = pa.schema(
    [(name, pa.string()) for name in ("key", "shard", *LANGUAGES)]
    + [(f"score_{lang}", pa.float64()) for lang in LANGUAGES]
    + [("vector", pa.binary()), ("reason", pa.string())]
)
# Of the pairs with vectors; what training on text alone reads instead of the tars with their images.
CAPTIONS = pa.schema(
    [(name, pa.string()) for name in ("key", *LANGUAGES)]
    + [(f"{lang}_vector", pa.binary()) for lang in LANGUAGES]
)
TEXTS = pa.schema([("text", pa.string()), ("lang", pa.string()), ("vector", pa.binary())])
# How many vectors an item has from an earlier version, in the metadata of the parquet file that finishes it.
REUSED = ("reused_images", "reused_captions", "reused_texts")
COUNTS = ("pairs", UNREADABLE, MISSING, "texts", *REUSED)


def shard_items(pairs: AnyPath, raw: AnyPath, place: AnyPath, earlier: AnyPath | None = None) -> list[dict]:
    """One item a raw shard that still has kept pairs; `earlier` is an earlier version's folder, if any."""
    where = ShardRows(dataset(pairs / "kept.parquet")).where()
    folders = {"raw": raw, "place": place, "earlier": earlier}
    folders = {kind: pack(folder) for kind, folder in folders.items()}
    # pyarrow names an object by bucket and key alone.
    scheme = SCHEME if isinstance(pairs, StoragePath) else ""
    return [
        {
            "kind": "shard",
            "name": name,
            "rows": json.dumps([[scheme + path, numbers] for path, numbers in rows]),
            **folders,
        }
        for name, rows in where.items()
    ]


def kept_rows(item: dict) -> Iterator[dict]:
    """The kept pairs of an item's shard, from the row groups that it names."""
    for path, numbers in json.loads(item["rows"]):
        with open_ranges(any_path(path)) as opened, pq.ParquetFile(opened) as file:
            rows = file.read_row_groups(numbers)
        yield from rows.filter(pc.equal(rows["shard"], item["name"])).to_pylist()


def text_items(
    lang: str,
    path: str,
    place: AnyPath,
    content: str = "",
    texts_per_item: int = 2_000,
    earlier: AnyPath | None = None,
) -> list[dict]:
    """One item a run of lines of a text list, named by the list's fingerprint `content` where there is one.

    A copy from object storage may lie elsewhere when the step resumes.
    """
    lines = [line.strip() for line in read_lines(Path(path))]
    texts = [line for line in lines if line]
    starts = range(0, len(texts), texts_per_item)
    return [
        {
            "kind": "texts",
            "name": f"{lang}-{Path(path).stem}-{identity(content or path)}-{number:05d}",
            "lang": lang,
            "texts": texts[start : start + texts_per_item],
            "place": pack(place),
            "earlier": pack(earlier),
        }
        for number, start in enumerate(starts)
    ]


@dataclass(frozen=True)
class Batch:
    """Samples whose pictures could be decoded, ready for the teacher: of each the picture, then its views."""

    samples: list[dict]
    views: list[list[views.View]]
    prepared: Any
    unreadable: list[str]


class Embedder:
    """Holds a teacher and embeds items; one lives in each Ray actor."""

    def __init__(
        self, teacher: AnyPath | str, num_threads: int, num_decoders: int = 1, rules: dict | None = None
    ):
        import torch

        torch.set_num_threads(num_threads)
        with fetched(teacher, "embed_pairs") as folder:
            self.teacher: Teacher = load_teacher(folder)
        self.num_decoders = num_decoders
        self.rules = views.ViewRules(**(rules or {}))

    def __call__(self, item: dict) -> dict:
        """Embed one item, whatever its kind; returns how many of each of `COUNTS`.

        In object storage also `referenced`, the name of a shard that stays where the earlier version has it.
        """
        work = {"shard": self.embed_shard, "texts": self.embed_texts}[item["kind"]]
        return {**dict.fromkeys(COUNTS, 0), **work(item)}

    def embed_shard(self, item: dict) -> dict:
        """Write `shards/NAME.tar` with vectors, `captions/NAME.parquet`, `scores/NAME.parquet`.

        The scores have a row for each kept pair, and finish the item.
        """
        place, name = unpack(item["place"]), item["name"]
        scores = place / "scores" / f"{name}.parquet"
        if not scores.is_file():
            records = {row["key"]: row for row in kept_rows(item)}
            earlier = EarlierShard(unpack(item["earlier"]), name, self.teacher.width)
            rows, found = earlier.take_whole(records, self.rules, place), {}
            if rows is None:
                raw = unpack(item["raw"]) / "shards" / f"{name}.tar"
                rows = self._write_embedded(raw, records, earlier, place)
            elif isinstance(place, StoragePath):
                found = {"referenced": name}
            found |= {f"reused_{of}": number for of, number in earlier.reused.items()}
            _write_parquet(scores, rows, SCORES, found)
        with open_ranges(scores) as opened:
            reasons = pq.read_table(opened, columns=["reason"])["reason"].to_pylist()
        return {**Counter(reason or "pairs" for reason in reasons), **_reused(scores)}

    def _write_embedded(
        self, raw: AnyPath, records: dict[str, dict], earlier: EarlierShard, place: AnyPath
    ) -> list[dict]:
        """Write the embedded shard and its captions; returns its rows of scores."""
        stored, texts = self._text_vectors(records, earlier)
        rows = {key: _row_of(record, reason=MISSING) for key, record in records.items()}
        with shards.open_shard(place / "shards" / raw.name) as add:

            def keep(sample: dict, drawn: list[views.View], vectors: np.ndarray) -> None:
                key = sample["__key__"]
                add(_embedded_sample(sample, records[key], drawn, vectors, texts[key]))
                rows[key] = _row_of(records[key], vectors[0], texts[key])

            def keep_stored(sample: dict, drawn: list[views.View], vectors: np.ndarray) -> None:
                keep(sample, drawn, vectors)
                record = records[sample["__key__"]]
                rows[record["key"]] |= earlier.cosines(record, stored[record["key"]])

            for batch in self._batches(self._not_stored(raw, records, earlier, keep_stored)):
                images = self.teacher.embed_prepared(batch.prepared) if batch.samples else []
                images = np.reshape(images, (len(batch.samples), 1 + self.rules.num_views, -1))
                for found in zip(batch.samples, batch.views, images, strict=True):
                    keep(*found)
                rows |= {key: _row_of(records[key], reason=UNREADABLE) for key in batch.unreadable}
        captions = [
            _captions_of(records[key], texts[key]) for key, row in rows.items() if row["reason"] is None
        ]
        _write_parquet(place / "captions" / f"{raw.stem}.parquet", captions, CAPTIONS)
        return list(rows.values())

    def _not_stored(
        self, raw: AnyPath, records: dict[str, dict], earlier: EarlierShard, keep_stored: Callable
    ) -> Iterator[dict]:
        """The wanted samples of a raw shard whose vectors are not stored; the others go to `keep_stored`."""
        for sample in shards.read_unbroken(raw):
            record = records.get(sample["__key__"])
            if record is None:
                continue
            drawn = views.draw_views(record["key"], self.rules)
            vectors = earlier.image(record, drawn)
            if vectors is None:
                yield sample
            else:
                keep_stored(sample, drawn, vectors)

    def _batches(self, samples: Iterable[dict]) -> Iterator[Batch]:
        """Samples made ready by threads a few batches ahead."""
        size = max(1, BATCH // (1 + self.rules.num_views))
        with ThreadPoolExecutor(self.num_decoders) as threads:
            yield from _ahead(threads, self._prepare, _chunks(samples, size), self.num_decoders + 1)

    def _prepare(self, samples: list[dict]) -> Batch:
        """Decode, draw the views, and do what the teacher wants done to pictures before its forward pass."""
        images = [shards.image_or_none(sample) for sample in samples]
        found = [(sample, image) for sample, image in zip(samples, images, strict=True) if image]
        drawn = [views.draw_views(sample["__key__"], self.rules) for sample, _ in found]
        shown = [
            look
            for (_, image), own in zip(found, drawn, strict=True)
            for look in (image, *(views.show(image, view) for view in own))
        ]
        prepared = self.teacher.prepare_images(shown) if shown else None
        unreadable = [s["__key__"] for s, image in zip(samples, images, strict=True) if image is None]
        return Batch([sample for sample, _ in found], drawn, prepared, unreadable)

    def _text_vectors(
        self, records: dict[str, dict], earlier: EarlierShard
    ) -> tuple[dict[str, set[str]], dict[str, dict[str, np.ndarray]]]:
        """(languages whose vector was stored, vectors by language) of the captions there are, by key."""
        stored: dict[str, set[str]] = {key: set() for key in records}
        vectors: dict[str, dict] = {key: {} for key in records}
        for lang in LANGUAGES:
            fresh = []
            for key, record in records.items():
                if not record[lang]:
                    continue
                vector = earlier.text(record, lang)
                if vector is None:
                    fresh.append(key)
                else:
                    vectors[key][lang] = vector
                    stored[key].add(lang)
            found = self._embed_texts([records[key][lang] for key in fresh])
            for key, vector in zip(fresh, found, strict=True):
                vectors[key][lang] = vector
        return stored, vectors

    def embed_texts(self, item: dict) -> dict:
        """Write `texts/NAME.parquet` with the columns text, lang and vector (bfloat16 bytes)."""
        path = unpack(item["place"]) / "texts" / f"{item['name']}.parquet"
        if not path.is_file():
            stored = stored_texts(unpack(item["earlier"]), item["name"])
            fresh = [text for text in item["texts"] if text not in stored]
            vectors = map(shards.to_bf16, self._embed_texts(fresh))
            known = stored | dict(zip(fresh, vectors, strict=True))
            table = [{"text": text, "lang": item["lang"], "vector": known[text]} for text in item["texts"]]
            _write_parquet(path, table, TEXTS, {"reused_texts": len(table) - len(fresh)})
        return {"texts": pq.read_metadata(parquet_file(path)).num_rows, **_reused(path)}

    def _embed_texts(self, texts: list[str]) -> np.ndarray:
        """Vectors of texts, in batches of like length: a batch is padded to its longest."""
        vectors = np.zeros((len(texts), self.teacher.width), np.float32)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number].encode()))
        for rows in _chunks(order, BATCH):
            vectors[rows] = self.teacher.embed_texts([texts[row] for row in rows])
        return vectors


def _chunks(items: Iterable, size: int) -> Iterator[list]:
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _ahead(threads: ThreadPoolExecutor, function, items: Iterable, num_ahead: int) -> Iterator:
    """`map` in threads, in order, that takes no more than `num_ahead` items before they are asked for."""
    running: deque = deque()
    for item in items:
        running.append(threads.submit(function, item))
        if len(running) > num_ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _embedded_sample(
    sample: dict, record: dict, drawn: list[views.View], images: np.ndarray, texts: dict[str, np.ndarray]
) -> dict:
    picture = {name: sample[name] for name in shards.IMAGE_TYPES if name in sample}
    vectors = {f"{lang}.bf16": shards.to_bf16(vector) for lang, vector in texts.items()}
    stored = {"views": views.to_record(drawn)} if drawn else {}
    return {
        "__key__": sample["__key__"],
        **picture,
        "json": shards.json_bytes({**record, **stored}),
        "image.bf16": shards.to_bf16(images),
        **vectors,
    }


def _row_of(
    record: dict, image: np.ndarray | None = None, texts: dict | None = None, reason: str | None = None
) -> dict:
    """A row of scores: cosines of the plain image with its captions, and its vector."""
    row = {name: record[name] for name in ("key", "shard", *LANGUAGES)}
    if image is None:
        return {**row, "reason": reason}
    cosines = {f"score_{lang}": float(vector @ image) for lang, vector in texts.items()}
    return {**row, **cosines, "vector": shards.to_bf16(image), "reason": None}


def _captions_of(record: dict, texts: dict[str, np.ndarray]) -> dict:
    """A row of captions with their vectors."""
    vectors = {f"{lang}_vector": shards.to_bf16(vector) for lang, vector in texts.items()}
    return {**{name: record[name] for name in ("key", *LANGUAGES)}, **vectors}


def _write_parquet(path: AnyPath, rows: list[dict], schema: pa.Schema, reused: dict | None = None) -> None:
    """Write rows, with how many vectors were reused in the file's metadata: the count survives a restart."""
    path.parent.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata({"reused": json.dumps(reused or {})}))
    with appearing(path) as file:
        pq.write_table(table, file)


def _reused(path: AnyPath) -> dict:
    """How many vectors of a file came from an earlier version."""
    return json.loads(pq.read_schema(parquet_file(path)).metadata[b"reused"])
