"""What embed_pairs does with one shard or one piece of a text list: the teacher's vectors, stored once.

Ray Data runs `Embedder` over the items (training/ray_edge.py). An item's output appears under its name only
when it is whole, and an output that is there is not made again, so a rerun goes on where the last one was.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.store import identity
from training import shards
from training.teacher import Teacher, load_teacher

LANGUAGES = ("zh", "en")
BATCH = 64
# Written out: a shard without a caption in one language must not have a column of another type.
SCORES = pa.schema(
    [("key", pa.string()), ("shard", pa.string())] + [(f"score_{lang}", pa.float64()) for lang in LANGUAGES]
)
TEXTS = pa.schema([("text", pa.string()), ("lang", pa.string()), ("vector", pa.binary())])


def shard_items(pairs: Path, raw: Path, place: Path) -> list[dict]:
    """One item a raw shard that still has kept pairs."""
    names = sorted(set(pq.read_table(pairs / "kept.parquet", columns=["shard"])["shard"].to_pylist()))
    folders = {"pairs": str(pairs), "raw": str(raw), "place": str(place)}
    return [{"kind": "shard", "name": name, **folders} for name in names]


def text_items(lang: str, path: str, place: Path, texts_per_item: int = 2_000) -> list[dict]:
    """One item a run of lines of a text list."""
    lines = [line.strip() for line in Path(path).read_text().splitlines()]
    texts = [line for line in lines if line]
    starts = range(0, len(texts), texts_per_item)
    return [
        {
            "kind": "texts",
            "name": f"{lang}-{Path(path).stem}-{identity(path)}-{number:05d}",
            "lang": lang,
            "texts": texts[start : start + texts_per_item],
            "place": str(place),
        }
        for number, start in enumerate(starts)
    ]


class Embedder:
    """Holds a teacher and embeds items; one lives in each Ray actor."""

    def __init__(self, teacher: str, num_threads: int):
        import torch

        torch.set_num_threads(num_threads)
        self.teacher: Teacher = load_teacher(Path(teacher))

    def __call__(self, item: dict) -> dict:
        """Embed one item, whatever its kind; returns counts of `pairs` and `texts`."""
        work = {"shard": self.embed_shard, "texts": self.embed_texts}[item["kind"]]
        return work(item)

    def embed_shard(self, item: dict) -> dict:
        """Write `shards/NAME.tar` with vectors and `scores/NAME.parquet`; returns counts."""
        place, name = Path(item["place"]), item["name"]
        scores = place / "scores" / f"{name}.parquet"
        if not scores.exists():
            kept = pq.read_table(
                Path(item["pairs"]) / "kept.parquet", filters=[("shard", "=", name)]
            ).to_pylist()
            records = {row["key"]: row for row in kept}
            samples = [
                sample
                for sample in shards.read_shard(Path(item["raw"]) / "shards" / f"{name}.tar")
                if sample["__key__"] in records
            ]
            embedded, rows = self._embed_samples(samples, records)
            shards.write_shard(place / "shards" / f"{name}.tar", embedded)
            _write_parquet(scores, rows, SCORES)
        return {"pairs": pq.read_metadata(scores).num_rows, "texts": 0}

    def _embed_samples(self, samples: list[dict], records: dict[str, dict]) -> tuple[list[dict], list[dict]]:
        """(samples for the embedded shard, rows of scores: cosine of image and caption per language)."""
        images = self._in_batches(self.teacher.embed_images, [shards.image_of(item) for item in samples])
        captions = {}
        for lang in LANGUAGES:
            has = [item["__key__"] for item in samples if records[item["__key__"]][lang]]
            vectors = self._in_batches(self.teacher.embed_texts, [records[key][lang] for key in has])
            captions[lang] = dict(zip(has, vectors, strict=True))
        embedded, rows = [], []
        for sample, image in zip(samples, images, strict=True):
            key = sample["__key__"]
            texts = {lang: captions[lang][key] for lang in LANGUAGES if key in captions[lang]}
            embedded.append(_embedded_sample(sample, records[key], image, texts))
            scores = {
                f"score_{lang}": float(texts[lang] @ image) if lang in texts else None for lang in LANGUAGES
            }
            rows.append({"key": key, "shard": records[key]["shard"], **scores})
        return embedded, rows

    def embed_texts(self, item: dict) -> dict:
        """Write `texts/NAME.parquet` with the columns text, lang and vector (bfloat16 bytes)."""
        path = Path(item["place"]) / "texts" / f"{item['name']}.parquet"
        if not path.exists():
            vectors = self._in_batches(self.teacher.embed_texts, item["texts"])
            stored = [shards.to_bf16(vector) for vector in vectors]
            rows = zip(item["texts"], stored, strict=True)
            table = [{"text": text, "lang": item["lang"], "vector": row} for text, row in rows]
            _write_parquet(path, table, TEXTS)
        return {"pairs": 0, "texts": pq.read_metadata(path).num_rows}

    def _in_batches(self, embed, inputs: list) -> np.ndarray:
        if not inputs:
            return np.zeros((0, self.teacher.width), np.float32)
        starts = range(0, len(inputs), BATCH)
        return np.concatenate([embed(inputs[start : start + BATCH]) for start in starts])


def _embedded_sample(sample: dict, record: dict, image: np.ndarray, texts: dict[str, np.ndarray]) -> dict:
    picture = {name: sample[name] for name in shards.IMAGE_TYPES if name in sample}
    vectors = {f"{lang}.bf16": shards.to_bf16(vector) for lang, vector in texts.items()}
    return {
        "__key__": sample["__key__"],
        **picture,
        "json": shards.json_bytes(record),
        "image.bf16": shards.to_bf16(image),
        **vectors,
    }


def _write_parquet(path: Path, rows: list[dict], schema: pa.Schema) -> None:
    partial = path.with_name(f".{path.name}")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial)
    partial.replace(path)
