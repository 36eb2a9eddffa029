"""Generated pairs for the benchmarks of training, as the steps before it leave them, and a student for them.

A picture is smooth noise, a JPEG of about a photo's size; a few are used in turns, each pair has a key of its
own. Captions are random words of a small vocabulary, vectors are random of unit length.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.students import STUDENTS
from training import shards
from training.embed import CAPTIONS
from training.families import FAMILIES
from training.selection import LANGUAGES
from training.student import Student, make_image_processor
from training.tokenizer import train_tokenizer

# AltCLIP's.
WIDTH = 768
NUM_PICTURES, NUM_VECTORS, NUM_WORDS = 32, 1_024, 800
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
# A caption of CC3M has ten words in the mean.
WORDS = (4, 16)


def words(lang: str) -> list[str]:
    """The vocabulary of a language."""
    if lang == "zh":
        return [chr(0x4E00 + number) for number in range(NUM_WORDS)]
    return [SYLLABLES[number % 70] + SYLLABLES[number // 70] for number in range(NUM_WORDS)]


def captions(lang: str, number: int, seed: int = 0) -> list[str]:
    """Captions of 4 to 15 words."""
    rng, known = np.random.default_rng(seed), words(lang)
    chosen = (rng.integers(0, NUM_WORDS, length) for length in rng.integers(*WORDS, number))
    return [("" if lang == "zh" else " ").join(known[word] for word in some) for some in chosen]


def jpegs(side: int) -> list[bytes]:
    """Files of square pictures."""
    rng, files = np.random.default_rng(0), []
    for _ in range(NUM_PICTURES):
        small = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        stream = io.BytesIO()
        small.resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=95)
        files.append(stream.getvalue())
    return files


def vectors(width: int) -> list[bytes]:
    """Unit vectors as embed_pairs stores them."""
    rows = np.random.default_rng(0).standard_normal((NUM_VECTORS, width), np.float32)
    return [shards.to_bf16(row) for row in rows / np.linalg.norm(rows, axis=1, keepdims=True)]


def samples(shard: int, number: int, side: int, width: int, languages: tuple[str, ...]) -> Iterator[dict]:
    """Embedded samples of a shard, each with captions in these languages."""
    files, stored = jpegs(side), vectors(width)
    texts = {lang: captions(lang, number, shard) for lang in languages}
    for row in range(number):
        record = {lang: texts[lang][row] for lang in languages}
        yield {
            "__key__": f"{shard:05d}{row:05d}",
            "jpg": files[row % NUM_PICTURES],
            "json": shards.json_bytes(record),
            "image.bf16": stored[row % NUM_VECTORS],
            **{f"{lang}.bf16": stored[(row + 1) % NUM_VECTORS] for lang in languages},
        }


def write_captions(path: Path, rows: list[dict]) -> None:
    """The samples' captions as embed_pairs leaves them beside the tar."""
    records = [{"key": row["__key__"], **shards.record_of(row)} for row in rows]
    vectors = [{f"{lang}_vector": row.get(f"{lang}.bf16") for lang in LANGUAGES} for row in rows]
    merged = [record | stored for record, stored in zip(records, vectors, strict=True)]
    pq.write_table(pa.Table.from_pylist(merged, CAPTIONS), path)


def raw(sample: dict) -> dict:
    """The sample as img2dataset leaves it, its English caption in a text file."""
    text = shards.record_of(sample)["en"].encode()
    return {name: sample[name] for name in ("__key__", "jpg", "json")} | {"txt": text}


def write_pairs(
    folder: Path,
    num_pairs: int,
    *,
    side: int,
    width: int,
    pairs_per_shard: int = 500,
    languages: tuple[str, ...] = LANGUAGES,
    with_raw: bool = False,
) -> None:
    """`embedded/` and `selection/` below `folder`, and `raw/`, the same pictures from img2dataset."""
    for name in ("embedded/shards", "embedded/captions", "embedded/texts", "raw"):
        (folder / name).mkdir(parents=True)
    keys: dict[str, list[str]] = {}
    for shard, first in enumerate(range(0, num_pairs, pairs_per_shard)):
        number = min(pairs_per_shard, num_pairs - first)
        rows = list(samples(shard, number, side, width, languages))
        shards.write_shard(folder / f"embedded/shards/{shard:05d}.tar", rows)
        write_captions(folder / f"embedded/captions/{shard:05d}.parquet", rows)
        if with_raw:
            shards.write_shard(folder / f"raw/{shard:05d}.tar", map(raw, rows))
        keys[f"{shard:05d}"] = [row["__key__"] for row in rows]
    write_selection(folder / "selection", keys, languages)


def write_many_pairs(folder: Path, num_pairs: int, *, side: int, width: int, pairs_per_shard: int) -> None:
    """As `write_pairs`, with one shard under many names, so that a million pairs take no room on the disk."""
    write_pairs(folder, pairs_per_shard, side=side, width=width, pairs_per_shard=pairs_per_shard)
    names = [f"{number:05d}" for number in range(num_pairs // pairs_per_shard)]
    for name in names[1:]:
        for file in ("shards/{}.tar", "captions/{}.parquet"):
            os.link(folder / "embedded" / file.format("00000"), folder / "embedded" / file.format(name))
    keys = [f"{0:05d}{row:05d}" for row in range(pairs_per_shard)]
    write_selection(folder / "selection", dict.fromkeys(names, keys), LANGUAGES)


def write_selection(folder: Path, keys: dict[str, list[str]], languages: tuple[str, ...]) -> None:
    """What select_pairs leaves when it drops nothing: rows in order of the shards, in large row groups."""
    folder.mkdir(exist_ok=True)

    def rows(shard: str) -> pa.Table:
        number = len(keys[shard])
        columns: dict = {"key": keys[shard], "shard": [shard] * number}
        for lang in LANGUAGES:
            there = lang in languages
            columns[f"use_{lang}"] = [there] * number
            columns[f"score_{lang}"] = pa.array([0.5 if there else None] * number, pa.float64())
        return pa.table(columns)

    pq.write_table(pa.concat_tables(map(rows, keys)), folder / "selected.parquet")


def generated_student(name: str, width: int) -> Student:
    """A named student with random weights; its token table has its full size, whatever the captions need."""
    shape = STUDENTS[name]
    texts = [text for lang in LANGUAGES for text in (*words(lang), *captions(lang, 1_000))]
    tokenizer = train_tokenizer(texts, 4 * NUM_WORDS, shape.max_tokens)
    model = FAMILIES[shape.family].make(shape, shape.vocab_size, width).train()
    return Student(model, tokenizer, make_image_processor(shape.family, shape.image_size))
