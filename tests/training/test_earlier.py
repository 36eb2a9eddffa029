"""Vectors of an earlier version: taken where teacher, picture and caption are the same, else computed."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from toy_training import TEXTS, WIDTH, ToyTeacher, pair_rows, picture, png, write_table

from infra.store import write_json
from training import embed, shards
from training.earlier import teacher_identity

ROWS = [{**row, "sha256": f"hash of {row['key']}"} for row in pair_rows(12) if row["shard"] == "00000"]


class CountingTeacher(ToyTeacher):
    """Remembers what it was asked for."""

    texts: list[str] = []  # noqa: RUF012  (emptied by the fixture)
    num_images = 0

    def embed_texts(self, texts):
        type(self).texts.extend(texts)
        return super().embed_texts(texts)

    def embed_prepared(self, images):
        type(self).num_images += len(images)
        return super().embed_prepared(images)


@pytest.fixture(autouse=True)
def teacher(monkeypatch):
    monkeypatch.setattr(embed, "load_teacher", CountingTeacher)


def forget() -> None:
    """What the teacher was asked for until now does not count."""
    CountingTeacher.texts, CountingTeacher.num_images = [], 0


class Version:
    """A version's folders: a raw shard with all pictures, some kept pairs, what was embedded."""

    def __init__(self, place: Path, rows: list[dict], earlier: "Version | None" = None, **rules: int):
        self.place = place / "embedded"
        for name in ("shards", "scores", "texts"):
            (self.place / name).mkdir(parents=True)
        (place / "raw" / "shards").mkdir(parents=True)
        samples = [{"__key__": row["key"], "png": png(picture(row["colour"])), "json": b"{}"} for row in ROWS]
        shards.write_shard(place / "raw" / "shards" / "00000.tar", samples)
        write_table(place / "pairs" / "kept.parquet", rows)
        self.earlier = earlier.place if earlier else None
        (item,) = embed.shard_items(place / "pairs", place / "raw", self.place, self.earlier)
        self.embedder = embed.Embedder("teacher", num_threads=1, rules=rules)
        forget()
        self.counts = {name: number for name, number in self.embedder(item).items() if number}

    @property
    def tar(self) -> Path:
        return self.place / "shards" / "00000.tar"

    def samples(self) -> dict[str, dict]:
        """Embedded samples by key, without where they lie."""
        found = list(shards.read_shard(self.tar))
        return {sample["__key__"]: {**sample, "__url__": None} for sample in found}

    def scores(self) -> list[dict]:
        rows = pq.read_table(self.place / "scores" / "00000.parquet").to_pylist()
        return sorted(rows, key=lambda row: row["key"])

    def embed_texts(self, file: Path, content: str) -> dict:
        """Embed a list of texts in pieces of two; returns counts."""
        items = embed.text_items("en", str(file), self.place, content, 2, self.earlier)
        forget()
        counts = [self.embedder(item) for item in items]
        return {name: sum(count[name] for count in counts) for name in ("texts", "reused_texts")}


@pytest.fixture
def first(tmp_path) -> Version:
    return Version(tmp_path / "first", ROWS)


def num_captions(rows: list[dict]) -> int:
    return sum(bool(row[lang]) for row in rows for lang in ("zh", "en"))


def test_a_shard_in_which_nothing_changed_is_the_same_file(first, tmp_path):
    second = Version(tmp_path / "second", ROWS, first)
    assert os.path.samefile(first.tar, second.tar)
    assert os.path.samefile(*(version.place / "captions" / "00000.parquet" for version in (first, second)))
    assert second.scores() == first.scores()
    reused = {"reused_images": len(ROWS), "reused_captions": num_captions(ROWS)}
    assert second.counts == {"pairs": len(ROWS), **reused}
    assert (CountingTeacher.num_images, CountingTeacher.texts) == (0, [])


def test_a_changed_caption_costs_a_text_and_no_picture(first, tmp_path):
    changed = [{**ROWS[0], "en": "a blue picture"}, *ROWS[1:]]
    second = Version(tmp_path / "second", changed, first)
    assert CountingTeacher.texts == ["a blue picture"]
    assert CountingTeacher.num_images == 0
    assert second.counts["reused_captions"] == num_captions(ROWS) - 1
    fresh = Version(tmp_path / "fresh", changed)
    assert second.samples() == fresh.samples()


def test_a_new_pair_alone_is_computed(first, tmp_path):
    before = Version(tmp_path / "before", ROWS[:-1])
    second = Version(tmp_path / "second", ROWS, before)
    assert CountingTeacher.num_images == 1
    assert second.counts["reused_images"] == len(ROWS) - 1
    assert second.samples() == first.samples()
    assert second.scores() == first.scores()


def test_a_pair_that_is_gone_leaves_the_others_as_they_were(first, tmp_path):
    second = Version(tmp_path / "second", ROWS[1:], first)
    assert CountingTeacher.num_images == 0
    assert second.samples() == {row["key"]: first.samples()[row["key"]] for row in ROWS[1:]}


def test_scores_are_as_before_rounding(first, tmp_path):
    """A stored vector is rounded; a score from it would be another, and a caption near the limit would go."""
    second = Version(tmp_path / "second", ROWS[1:], first)
    assert second.scores() == first.scores()[1:]


@pytest.mark.parametrize("changed", [{"sha256": "another"}])
def test_another_picture_is_computed(first, tmp_path, changed):
    Version(tmp_path / "second", [{**ROWS[0], **changed}, *ROWS[1:]], first)
    assert CountingTeacher.num_images == 1


def test_other_views_are_computed(first, tmp_path):
    second = Version(tmp_path / "second", ROWS, first, num_views=2, max_jitter=0)
    assert CountingTeacher.num_images == 3 * len(ROWS)
    third = Version(tmp_path / "third", ROWS, second, num_views=2, max_jitter=0)
    assert CountingTeacher.num_images == 0
    assert os.path.samefile(second.tar, third.tar)


def test_a_broken_earlier_shard_is_computed_anew(first, tmp_path):
    whole = first.samples()
    first.tar.write_bytes(first.tar.read_bytes()[:3_000])
    assert Version(tmp_path / "second", ROWS, first).samples() == whole


def test_counts_survive_a_restart(first, tmp_path):
    second = Version(tmp_path / "second", ROWS[1:], first)
    (item,) = embed.shard_items(tmp_path / "second" / "pairs", tmp_path, second.place, str(first.place))
    again = {name: number for name, number in second.embedder(item).items() if number}
    assert again == second.counts


def test_of_a_longer_list_of_texts_the_new_lines_are_computed(first, tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("\n".join(TEXTS[:5]))
    assert first.embed_texts(file, "content one") == {"texts": 5, "reused_texts": 0}
    file.write_text("\n".join([*TEXTS[:5], "a new text", "another"]))
    second = Version(tmp_path / "second", ROWS, first)
    assert second.embed_texts(file, "content two") == {"texts": 7, "reused_texts": 5}
    assert CountingTeacher.texts == ["a new text", "another"]
    table = pq.read_table(second.place / "texts").to_pylist()
    vectors = np.concatenate([shards.from_bf16(row["vector"], WIDTH) for row in table])
    assert np.array_equal(vectors, ToyTeacher().embed_texts([row["text"] for row in table]))


def test_a_teacher_is_its_files_and_not_how_it_was_made(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "teacher.json", {"kind": "lit"})
        write_json(tmp_path / name / "done.json", {"seconds": len(name), "place": name})
    assert teacher_identity(tmp_path / "one") == teacher_identity(tmp_path / "two")
    (tmp_path / "two" / "head.safetensors").write_bytes(b"weights")
    assert teacher_identity(tmp_path / "one") != teacher_identity(tmp_path / "two")
