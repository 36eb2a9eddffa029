"""Tiny parts that the tests of training/ share: words, pictures, a teacher, a student, an embedded folder.

Six colours are the concepts. A picture is one plain colour, its captions name it in both languages, and the
toy teacher knows all of that: whoever reads its vectors can tell every colour from every other.
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from training import data, shards
from training.embedded import Pair
from training.settings import StudentShape
from training.sources import DataSources
from training.stream import Unit
from training.student import Student, build_student
from training.tokenizer import train_tokenizer

WIDTH = 16
SIDE = 32
LANGUAGES = ("zh", "en")
COLOURS = ("red", "green", "blue", "yellow", "black", "white")
HAN = dict(zip(COLOURS, "红绿蓝黄黑白", strict=True))
RGB = {colour: Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in COLOURS}
TEXTS = ["0 1 2 3 4 5 6 7 8 9 0123456789"]
TEXTS += [text for colour in COLOURS for text in (f"a {colour} picture", f"{HAN[colour]}色的图片")]
TINY = StudentShape(
    image_size=SIDE,
    vocab_size=200,
    max_tokens=16,
    vision={
        "depth_coefficient": 1.0,
        "in_channels": [32, 16],
        "out_channels": [16, 16],
        "kernel_sizes": [3, 3],
        "strides": [2, 2],
        "num_block_repeats": [1, 1],
        "expand_ratios": [1, 2],
        "drop_connect_rate": 0.0,
    },
    text={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
)
TINY_VIT = replace(
    TINY,
    family="chinese_clip",
    vision={
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "patch_size": 16,
    },
)


def tiny_student(seed: int = 0, width: int = WIDTH, shape: StudentShape = TINY) -> Student:
    """A student of about 20,000 random weights."""
    torch.manual_seed(seed)
    return build_student(shape, train_tokenizer(TEXTS, shape.vocab_size, shape.max_tokens), width)


def picture(colour: str, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A plain picture."""
    return Image.new("RGB", size, colour)


def noise(seed: int, size: tuple[int, int] = (50, 41)) -> Image.Image:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length, float32."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class ToyTeacher:
    """Knows the colours. A picture's vector leans a little to the next colour's, so no cosine is plain 1."""

    width = WIDTH

    def __init__(self, folder: Path | None = None):
        self.folder = folder

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        """Vectors by the colour of the middle pixel."""
        return self.embed_prepared(self.prepare_images(images))

    def prepare_images(self, images: list[Image.Image]) -> list[Image.Image]:
        """Nothing is to be done beforehand."""
        return images

    def embed_prepared(self, images: list[Image.Image]) -> np.ndarray:
        """See `embed_images`."""
        at = [list(RGB.values()).index(image.getpixel((image.width // 2, 1))) for image in images]
        basis = np.eye(WIDTH)
        return unit(basis[at] + 0.1 * basis[[number + 1 for number in at]] * (np.array(at)[:, None] + 1))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Vectors by the colour that a text names; other texts share one vector."""
        return np.eye(WIDTH, dtype=np.float32)[[self._concept(text) for text in texts]]

    def _concept(self, text: str) -> int:
        named = (number for number, colour in enumerate(COLOURS) if colour in text or HAN[colour] in text)
        return next(named, WIDTH - 1)


def pair_rows(num: int = 24) -> list[dict]:
    """Records of pairs as filter_pairs keeps them, some without one of the captions."""
    rows = []
    for number in range(num):
        colour = COLOURS[number % len(COLOURS)]
        zh = None if number % 5 == 4 else f"{HAN[colour]}色的图片 {number}"
        en = None if number % 7 == 6 else f"a {colour} picture {number}"
        shard = f"{number * 2 // num:05d}"
        rows.append({"key": f"{number:09d}", "shard": shard, "zh": zh, "en": en, "colour": colour})
    return rows


def embedded_sample(row: dict) -> dict:
    """What embed_pairs stores of a pair."""
    teacher, image = ToyTeacher(), picture(row["colour"])
    texts = {lang: row[lang] for lang in LANGUAGES if row[lang]}
    return {
        "__key__": row["key"],
        "png": png(image),
        "json": shards.json_bytes(row),
        "image.bf16": shards.to_bf16(teacher.embed_images([image])),
        **{f"{lang}.bf16": shards.to_bf16(teacher.embed_texts([text])) for lang, text in texts.items()},
    }


def captions_of(sample: dict) -> dict:
    """What embed_pairs stores of a pair beside its tar."""
    record, vectors = (
        shards.record_of(sample),
        {f"{lang}_vector": sample.get(f"{lang}.bf16") for lang in LANGUAGES},
    )
    return {"key": record["key"], **{lang: record[lang] for lang in LANGUAGES}, **vectors}


def write_table(path: Path, rows: list[dict]) -> None:
    """Rows as parquet, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_embedded(folder: Path, rows: list[dict]) -> None:
    """A folder as embed_pairs leaves it: `shards/` of the rows, and `texts/` with the colours' names."""
    (folder / "shards").mkdir(parents=True)
    for name in sorted({row["shard"] for row in rows}):
        samples = [embedded_sample(row) for row in rows if row["shard"] == name]
        shards.write_shard(folder / "shards" / f"{name}.tar", samples)
        write_table(folder / "captions" / f"{name}.parquet", [captions_of(sample) for sample in samples])
    for lang, texts in (("en", list(COLOURS)), ("zh", list(HAN.values()))):
        vectors = [shards.to_bf16(vector) for vector in ToyTeacher().embed_texts(texts)]
        table = [{"text": t, "lang": lang, "vector": v} for t, v in zip(texts, vectors, strict=True)]
        write_table(folder / "texts" / f"{lang}-00000.parquet", table)


def score_of(row: dict, lang: str) -> float | None:
    """The toy teacher's cosine of a pair's picture and caption."""
    if not row[lang]:
        return None
    image, text = ToyTeacher().embed_images([picture(row["colour"])]), ToyTeacher().embed_texts([row[lang]])
    return float((image * text).sum())


def sources_of(corpus, **options) -> DataSources:
    """The corpus of conftest.py as a worker opens it."""
    return DataSources(corpus.embedded, corpus.selection, WIDTH, SIDE, **options)


def all_pairs(sources: DataSources) -> list[Pair]:
    """Every selected pair in order of its key."""
    units = [Unit(name, number) for name, number in sources.counts.pairs.items()]
    return sorted((row for unit in units for row in sources.embedded.pairs(unit)), key=lambda row: row.key)


def shown(sources: DataSources, rows: list[Pair]) -> data.Pairs:
    """Pairs with their plain pictures."""
    plain = [0] * len(rows)
    return data.collate(rows, plain, WIDTH, torch.stack(sources.pictures.decode(rows, plain)))


def write_selection(folder: Path, rows: list[dict], unused: tuple[tuple[str, str], ...] = ()) -> None:
    """A folder as select_pairs leaves it: every caption is used but the (key, language) in `unused`."""
    table = [
        {"key": row["key"], "shard": row["shard"]}
        | {f"use_{lang}": bool(row[lang]) and (row["key"], lang) not in unused for lang in LANGUAGES}
        | {f"score_{lang}": score_of(row, lang) for lang in LANGUAGES}
        | {lang: None if (row["key"], lang) in unused else row[lang] for lang in LANGUAGES}
        for row in rows
    ]
    write_table(folder / "selected.parquet", table)


def write_exam(folder: Path, classes: tuple[str, ...] = COLOURS) -> None:
    """An exam in clip_benchmark's layout: two pictures a colour, templates in both languages."""
    (folder / "test").mkdir(parents=True)
    samples = [
        {"__key__": f"s{number:07d}", "png": png(picture(colour)), "cls": str(label).encode()}
        for number, (label, colour) in enumerate((*enumerate(classes), *enumerate(classes)))
    ]
    shards.write_shard(folder / "test" / "0.tar", samples)
    han = "\n".join(HAN[colour] for colour in classes)
    for suffix, names, template in (("", "\n".join(classes), "a {c} thing"), ("_zh", han, "{c}色")):
        (folder / f"classnames{suffix}.txt").write_text(names + "\n")
        (folder / f"zeroshot_classification_templates{suffix}.txt").write_text("{c}\n" + template)
