"""Vectors that an earlier version of the data set has stored, so that the teacher is not asked again.

A vector is taken when the teacher is the same, files and code, and so is what it was shown: of a picture its
sha256 and the views, of a caption or text every character. Samples are looked up by key in the shard of the
same name: a data set that grows keeps both (components.take_over). A shard of which everything is the same
is linked whole.
"""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from infra.code_version import code_version
from infra.links import link_file
from infra.storage import AnyPath, parquet_file
from infra.store import DONE, fingerprint, identity
from training import shards, views

LANGUAGES = ("zh", "en")


def teacher_identity(folder: Path) -> str:
    """A hash of a teacher's files and of the code that runs it; the record of how it was made has no part."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    named = [(str(file.relative_to(folder)), file) for file in files]
    contents = [[name, fingerprint(file)] for name, file in named if name != DONE and name[0] != "."]
    return identity(contents, code_version("training.teacher"))


@dataclass
class EarlierShard:
    """A shard as the version before embedded it, empty where there is none; and how much of it was used.

    Its vectors are held in memory, its pictures are not.
    """

    folder: AnyPath | None
    name: str
    width: int
    reused: dict[str, int] = field(default_factory=lambda: {"images": 0, "captions": 0})

    @property
    def _tar(self) -> AnyPath | None:
        path = self.folder and self.folder / "shards" / f"{self.name}.tar"
        return path if path and path.is_file() else None

    @cached_property
    def _samples(self) -> dict[str, dict]:
        """What is stored by key, but for the pictures."""

        def wanted(member: str) -> bool:
            return not member.lower().endswith(shards.IMAGE_TYPES)

        found = shards.read_unbroken(self._tar, wanted) if self._tar else ()
        return {sample["__key__"]: sample for sample in found if "json" in sample}

    @cached_property
    def _scores(self) -> dict[str, dict]:
        """The rows of scores by key."""
        path = self.folder and self.folder / "scores" / f"{self.name}.parquet"
        if not path or not path.is_file():
            return {}
        return {row["key"]: row for row in pq.read_table(parquet_file(path)).to_pylist()}

    def _record(self, key: str) -> dict:
        return shards.record_of(self._samples[key]) if key in self._samples else {}

    def image(self, record: dict, drawn: list[views.View]) -> np.ndarray | None:
        """Vectors (1 + views, width) of a pair's picture and its views, None where they are not stored."""
        before = self._record(record["key"])
        if not before or before.get("sha256") != record["sha256"] or before.get("views", []) != _plain(drawn):
            return None
        content = self._samples[record["key"]].get("image.bf16", b"")
        if len(content) != 2 * self.width * (1 + len(drawn)):
            return None
        self.reused["images"] += 1
        return shards.from_bf16(content, self.width)

    def text(self, record: dict, lang: str) -> np.ndarray | None:
        """The vector (width,) of a pair's caption, None where it is not stored."""
        content = self._samples.get(record["key"], {}).get(f"{lang}.bf16", b"")
        if self._record(record["key"]).get(lang) != record[lang] or len(content) != 2 * self.width:
            return None
        self.reused["captions"] += 1
        return shards.from_bf16(content, self.width)[0]

    def cosines(self, record: dict, stored: Iterable[str]) -> dict[str, float]:
        """The scores of the captions in `stored`, as they were before vectors were rounded to be stored."""
        row = self._scores.get(record["key"], {})
        return {name: row[name] for lang in stored if row.get(name := f"score_{lang}") is not None}

    @property
    def _captions(self) -> AnyPath | None:
        path = self.folder and self.folder / "captions" / f"{self.name}.parquet"
        return path if path and path.is_file() else None

    def take_whole(
        self, records: dict[str, dict], rules: views.ViewRules, place: AnyPath
    ) -> list[dict] | None:
        """Link shard and captions into `place` and return the rows of scores, when nothing has changed.

        In object storage they stay: the result's record names them where they are.

        Args:
            records: the kept pairs of the shard by key.
        """
        if self._tar is None or self._captions is None or records.keys() != self._scores.keys():
            return None
        if not all(self._is_same(record, rules) for record in records.values()):
            return None
        for file in (self._tar, self._captions):
            if isinstance(place, Path):
                folder = place / file.parent.name
                folder.mkdir(exist_ok=True)
                link_file(file, folder / file.name)
        rows = [self._scores[key] for key in records]
        whole = [row for row in rows if row["reason"] is None]
        captions = sum(row[f"score_{lang}"] is not None for row in whole for lang in LANGUAGES)
        self.reused = {"images": len(whole), "captions": captions}
        return rows

    def _is_same(self, record: dict, rules: views.ViewRules) -> bool:
        """Whether all that is stored of a pair is what would be stored now."""
        row = self._scores[record["key"]]
        if row["reason"] is not None:
            # It has no vectors, and its row tells its captions alone.
            return all(row[lang] == record[lang] for lang in LANGUAGES)
        drawn = _plain(views.draw_views(record["key"], rules))
        return self._record(record["key"]) == {**record, **({"views": drawn} if drawn else {})}


def _plain(drawn: list[views.View]) -> list[dict]:
    """Views as they come back from JSON."""
    return [{**view, "crop": list(view["crop"])} for view in views.to_record(drawn)]


def stored_texts(folder: AnyPath | None, name: str) -> dict[str, bytes]:
    """Vectors (bfloat16 bytes) by text of a piece of a text list in an earlier version.

    Args:
        name: the piece's, LANG-LIST-CONTENT-NUMBER; a list that has grown has another content and the same
            texts in most of its pieces.
    """
    if folder is None:
        return {}
    *start, _, number = name.split("-")
    paths = (folder / "texts").glob(f"{glob.escape('-'.join(start))}-*-{number}.parquet")
    return dict(_text_rows(paths))


def _text_rows(paths: Iterable[AnyPath]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(paths, key=str):
        for row in pq.read_table(parquet_file(path), columns=["text", "vector"]).to_pylist():
            yield row["text"], row["vector"]
