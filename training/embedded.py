"""What embed_pairs left, read a unit at a time: pairs of a shard, their captions, texts without images.

Rows keep what is stored, as it is stored: pictures encoded, vectors as bfloat16 bytes.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import AnyPath, open_ranges
from training import shards
from training.selection import LANGUAGES, Selection
from training.stream import Unit
from training.views import View, from_record

# What pyarrow raises for a parquet file that was cut off, and for one with broken pages. The latter is an
# OSError as a disk's or a network's failure is, but without an errno: `_is_broken`.
BROKEN = (pa.ArrowInvalid, OSError)
# What Python takes for a row beside pictures and vectors, roughly.
OBJECTS_BYTES = 1_000
# From so many texts the meanings of tokens are read.
MAX_KNOWN_TEXTS = 2_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture, its stored views, and by language the captions to use with their vectors and scores.

    `image` is None where pictures were not asked for, empty where the sample has none.
    """

    key: str
    image: bytes | None
    views: list[View]
    captions: dict[str, str]
    image_vectors: bytes
    text_vectors: dict[str, bytes]
    scores: dict[str, float]

    @property
    def num_bytes(self) -> int:
        """About what it takes in memory."""
        vectors = len(self.image_vectors) + sum(map(len, self.text_vectors.values()))
        return len(self.image or b"") + vectors + OBJECTS_BYTES * (1 + len(self.views))


@dataclass(frozen=True, slots=True)
class Text:
    """A text with the teacher's vector."""

    text: str
    vector: bytes

    @property
    def num_bytes(self) -> int:
        """About what it takes in memory."""
        return len(self.vector) + OBJECTS_BYTES


@dataclass(frozen=True)
class Embedded:
    """A folder of embed_pairs, of vectors this wide, with what select_pairs chose of it."""

    folder: AnyPath
    selection: Selection
    width: int

    def pairs(self, unit: Unit, with_images: bool = True) -> list[Pair]:
        """The selected pairs of a unit of a shard, but those of which something is missing."""
        scores = self.selection.of(unit.name)
        keys = sorted(scores)[unit.part :: unit.num_parts]
        return self._read_pairs(unit.name, {key: scores[key] for key in keys}, with_images)

    def captions(self, unit: Unit) -> list[Text]:
        """The captions to use of a unit of a shard, whose rows are captions; from parquet, not its tar."""
        scores = self.selection.of(unit.name)
        used = [(key, lang) for key, lang in product(sorted(scores), LANGUAGES) if lang in scores[key]]
        wanted = used[unit.part :: unit.num_parts]
        stored = self._stored_captions(unit.name, {key for key, _ in wanted})
        texts = [_text_of(stored.get(key, {}), lang, self.width) for key, lang in wanted]
        return [text for text in texts if text]

    def _stored_captions(self, name: str, keys: set[str]) -> dict[str, dict]:
        """Captions and their vectors by key; none where the file is broken."""
        if not (self.folder / "captions").exists():
            raise ValueError(
                f"{self.folder} has no captions/: an older version of dcclip wrote it; run embed_pairs again"
            )
        rows = _read_table(self.folder / "captions" / f"{name}.parquet")
        if rows is None:
            return {}
        some = rows.filter(pc.is_in(rows["key"], value_set=pa.array(keys, pa.string())))
        return {row["key"]: row for row in some.to_pylist()}

    def _read_pairs(self, name: str, scores: dict[str, dict], with_images: bool) -> list[Pair]:
        def wanted(member: str) -> bool:
            return shards.key_of(member) in scores and (
                with_images or not member.lower().endswith(shards.IMAGE_TYPES)
            )

        samples = shards.read_unbroken(self.folder / "shards" / f"{name}.tar", wanted)
        pairs = (_pair_of(sample, scores[sample["__key__"]], self.width, with_images) for sample in samples)
        # In a tar they stand as they came from the web, in another order after each crawl.
        return sorted((pair for pair in pairs if pair), key=lambda pair: pair.key)

    def num_texts(self) -> dict[str, int]:
        """By row group, named FILE#NUMBER, the number of texts without images; a broken file has none."""
        return {
            f"{path.name}#{number}": metadata.row_group(number).num_rows
            for path in self._text_files()
            if (metadata := _metadata(path))
            for number in range(metadata.num_row_groups)
        }

    def texts(self, unit: Unit) -> list[Text]:
        """The texts without images of a unit of a row group, none where it is broken."""
        name, _, number = unit.name.rpartition("#")
        rows = _read_table(self.folder / "texts" / name, ["text", "vector"], int(number))
        return [
            Text(row["text"], row["vector"])
            for row in (rows.to_pylist() if rows else ())[unit.part :: unit.num_parts]
        ]

    def parallel_captions(self) -> Iterator[tuple[str, str]]:
        """(Chinese, English) of pairs of which both captions are used, shard by shard."""
        for captions in self.selection.captions():
            if len(captions) == len(LANGUAGES):
                yield tuple(captions)

    def training_texts(self) -> Iterator[str]:
        """What the tokenizer learns from: the selected captions, then the texts without images."""
        for captions in self.selection.captions():
            yield from captions
        for name, number in self.num_texts().items():
            yield from (row.text for row in self.texts(Unit(name, number)))

    def known_vectors(self, max_texts: int = MAX_KNOWN_TEXTS) -> Iterator[tuple[list[str], np.ndarray]]:
        """Texts without images with the teacher's unit vectors (texts, width), a row group at a time.

        Of more than `max_texts`, every second, third and so on row group.
        """
        counts = self.num_texts()
        every = max(1, math.ceil(sum(counts.values()) / max_texts))
        for name, number in list(counts.items())[::every]:
            if rows := self.texts(Unit(name, number)):
                vectors = shards.from_bf16(b"".join(row.vector for row in rows), self.width)
                yield [row.text for row in rows], vectors

    def _text_files(self) -> list[AnyPath]:
        return sorted((self.folder / "texts").glob("*.parquet"), key=str)


def _is_broken(error: Exception) -> bool:
    """Whether an error of `BROKEN`, from a file that Python opened, is the file's own and not the disk's."""
    return not isinstance(error, OSError) or error.errno is None


def _read_table(
    path: AnyPath, columns: list[str] | None = None, row_group: int | None = None
) -> pa.Table | None:
    """A parquet file, or one of its row groups; None where it is broken.

    Raises:
        OSError: it is not there, or its disk failed.
        StoreError: object storage did not give it.
    """
    try:
        with open_ranges(path) as opened, pq.ParquetFile(opened) as file:
            numbers = range(file.num_row_groups) if row_group is None else [row_group]
            return file.read_row_groups(list(numbers), columns)
    except BROKEN as error:
        if not _is_broken(error):
            raise
        return None


def _text_of(row: dict, lang: str, width: int) -> Text | None:
    """A caption of a row of captions; None where it or its vector is missing."""
    text, vector = row.get(lang), row.get(f"{lang}_vector")
    return Text(text, vector) if text and vector and len(vector) == 2 * width else None


def _metadata(path: AnyPath) -> pq.FileMetaData | None:
    """What a parquet file says of itself; None, and a warning, where it is no such file or was cut off.

    Raises:
        OSError: the disk's or the network's.
    """
    try:
        with open_ranges(path) as opened:
            return pq.read_metadata(opened)
    except BROKEN as error:
        if not _is_broken(error):
            raise
        warnings.warn(f"{path} is broken and left out", stacklevel=2)
        return None


def _pair_of(sample: dict, scores: dict[str, float], width: int, with_images: bool) -> Pair | None:
    """None where a part of the sample is missing or is not what it should be."""
    try:
        record = shards.record_of(sample)
        pair = Pair(
            sample["__key__"],
            next((sample[name] for name in shards.IMAGE_TYPES if name in sample), b"")
            if with_images
            else None,
            from_record(record.get("views", [])),
            {lang: record[lang] for lang in scores},
            sample["image.bf16"],
            {lang: sample[f"{lang}.bf16"] for lang in scores},
            scores,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return pair if _is_whole(pair, width) else None


def _is_whole(pair: Pair, width: int) -> bool:
    row = 2 * width
    has_vectors = all(len(vector) == row for vector in pair.text_vectors.values())
    has_texts = all(isinstance(text, str) for text in pair.captions.values())
    return has_vectors and has_texts and len(pair.image_vectors) == row * (1 + len(pair.views))
