"""Embedding one shard and one text list with a toy teacher: outputs, scores, and no work done twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_training import LANGUAGES, TEXTS, WIDTH, ToyTeacher, pair_rows, picture, png, unit, write_table

from training import embed, shards, views

ROWS = pair_rows(12)
DROPPED = "000000004"
KEPT = [row for row in ROWS if row["key"] != DROPPED]


class CountingTeacher(ToyTeacher):
    """Remembers how many inputs it was asked for."""

    num_asked = 0

    def embed_texts(self, texts):
        type(self).num_asked += len(texts)
        return super().embed_texts(texts)


class AreaTeacher(ToyTeacher):
    """Sees the size of a picture, and nothing else."""

    def embed_prepared(self, images):
        sizes = np.array([[image.width, image.height] for image in images], np.float32)
        return unit(np.pad(sizes, ((0, 0), (0, WIDTH - 2))))


@pytest.fixture
def folders(tmp_path) -> dict[str, Path]:
    """Two raw shards of pairs, of which one pair is not kept, and an empty place."""
    for name in ("raw/shards", "place/shards", "place/scores", "place/texts"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("00000", "00001"):
        samples = [
            {"__key__": row["key"], "png": png(picture(row["colour"])), "json": b"{}"}
            for row in ROWS
            if row["shard"] == name
        ]
        shards.write_shard(tmp_path / "raw" / "shards" / f"{name}.tar", samples)
    write_table(tmp_path / "pairs" / "kept.parquet", KEPT)
    return {name: tmp_path / name for name in ("raw", "pairs", "place")}


@pytest.fixture
def embedder(monkeypatch) -> embed.Embedder:
    monkeypatch.setattr(embed, "load_teacher", CountingTeacher)
    CountingTeacher.num_asked = 0
    return embed.Embedder("teacher", num_threads=1)


def counts(**found: int) -> dict[str, int]:
    return {**dict.fromkeys(embed.COUNTS, 0), **found}


def items_of(folders: dict[str, Path]) -> list[dict]:
    return embed.shard_items(**folders)


def embedded_samples(place: Path) -> list[dict]:
    return [sample for path in sorted(place.glob("shards/*.tar")) for sample in shards.read_shard(path)]


def test_there_is_an_item_for_each_shard_with_kept_pairs(folders):
    assert [(item["kind"], item["name"]) for item in items_of(folders)] == [
        ("shard", "00000"),
        ("shard", "00001"),
    ]
    write_table(folders["pairs"] / "kept.parquet", [row for row in KEPT if row["shard"] == "00001"])
    assert [item["name"] for item in items_of(folders)] == ["00001"]


def test_kept_pairs_come_out_with_picture_record_and_vectors(folders, embedder):
    assert [embedder(item) for item in items_of(folders)] == [
        counts(pairs=5),
        counts(pairs=6),
    ]
    found = embedded_samples(folders["place"])
    assert [sample["__key__"] for sample in found] == [row["key"] for row in KEPT]
    for sample, row in zip(found, KEPT, strict=True):
        vector = ToyTeacher().embed_images([picture(row["colour"])])
        assert shards.record_of(sample) == row
        assert shards.image_of(sample).getpixel((0, 0)) == picture(row["colour"]).getpixel((0, 0))
        assert shards.from_bf16(sample["image.bf16"], WIDTH) == pytest.approx(vector, rel=2**-8)
        assert {lang for lang in LANGUAGES if f"{lang}.bf16" in sample} == {
            lang for lang in LANGUAGES if row[lang]
        }


def test_scores_are_cosines_of_image_and_caption(folders, embedder):
    for item in items_of(folders):
        embedder(item)
    found = pq.read_table(folders["place"] / "scores").to_pylist()
    assert [row["key"] for row in found] == [row["key"] for row in KEPT]
    for row, kept in zip(found, KEPT, strict=True):
        image = ToyTeacher().embed_images([picture(kept["colour"])])[0]
        for lang in LANGUAGES:
            text = kept[lang] and ToyTeacher().embed_texts([kept[lang]])[0]
            expected = None if text is None else pytest.approx(float(text @ image), abs=1e-6)
            assert row[f"score_{lang}"] == expected


def test_scores_are_numbers_even_where_a_language_has_no_caption(folders, embedder):
    write_table(
        folders["pairs"] / "kept.parquet", [{**row, "zh": None} for row in KEPT if row["shard"] == "00000"]
    )
    embedder(items_of(folders)[0])
    schema = pq.read_schema(folders["place"] / "scores" / "00000.parquet")
    assert schema.field("score_en").type == pa.float64()
    assert schema.field("score_zh").type == pa.float64()


def test_a_row_of_scores_has_captions_and_the_plain_vector(folders, embedder):
    for item in items_of(folders):
        embedder(item)
    samples = {sample["__key__"]: sample for sample in embedded_samples(folders["place"])}
    for row, kept in zip(pq.read_table(folders["place"] / "scores").to_pylist(), KEPT, strict=True):
        assert [row[lang] for lang in LANGUAGES] == [kept[lang] for lang in LANGUAGES]
        assert row["vector"] == samples[row["key"]]["image.bf16"]
        assert row["reason"] is None


def test_captions_stand_beside_the_tar_with_their_vectors(folders, embedder):
    for item in items_of(folders):
        embedder(item)
    samples = {sample["__key__"]: sample for sample in embedded_samples(folders["place"])}
    found = pq.read_table(folders["place"] / "captions").to_pylist()
    assert [{name: row[name] for name in ("key", *LANGUAGES)} for row in found] == [
        {name: row[name] for name in ("key", *LANGUAGES)} for row in KEPT
    ]
    for row in found:
        vectors = [samples[row["key"]].get(f"{lang}.bf16") for lang in LANGUAGES]
        assert [row[f"{lang}_vector"] for lang in LANGUAGES] == vectors


def test_pictures_that_cannot_be_read_are_rows_with_a_reason(folders, embedder):
    raw = folders["raw"] / "shards" / "00000.tar"
    samples = list(shards.read_shard(raw))
    samples[1]["png"] = b"<html>"
    samples[2]["png"] = samples[2]["png"][:60]
    del samples[3]
    shards.write_shard(raw, samples)
    assert embedder(items_of(folders)[0]) == counts(pairs=2, unreadable_image=2, missing_from_shard=1)
    rows = pq.read_table(folders["place"] / "scores" / "00000.parquet").to_pylist()
    reasons = {row["key"]: row["reason"] for row in rows}
    assert list(reasons.values()) == [None, embed.UNREADABLE, embed.UNREADABLE, embed.MISSING, None]
    assert [row["vector"] is None for row in rows] == [reason is not None for reason in reasons.values()]
    there = [sample["__key__"] for sample in embedded_samples(folders["place"])]
    assert there == [key for key, reason in reasons.items() if not reason]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_shard_that_is_cut_off_gives_what_is_left(folders, embedder, share):
    raw = folders["raw"] / "shards" / "00000.tar"
    content = raw.read_bytes()
    raw.write_bytes(content[: int(len(content) * share)])
    found = embedder(items_of(folders)[0])
    assert found["pairs"] + found[embed.MISSING] == 5
    assert bool(found["pairs"]) == bool(share)
    assert len(embedded_samples(folders["place"])) == found["pairs"]


def test_views_are_stored_as_parameters_with_a_vector_each(folders, monkeypatch):
    monkeypatch.setattr(embed, "load_teacher", AreaTeacher)
    embedder = embed.Embedder("teacher", 1, num_decoders=2, rules={"num_views": 3, "seed": 1})
    assert [embedder(item)["pairs"] for item in items_of(folders)] == [5, 6]
    found = embedded_samples(folders["place"])
    assert [sample["__key__"] for sample in found] == [row["key"] for row in KEPT]
    for sample in found:
        stored = views.from_record(shards.record_of(sample)["views"])
        assert stored == views.draw_views(sample["__key__"], embedder.rules)
        image = shards.image_of(sample)
        looks = [image, *(views.show(image, view) for view in stored)]
        vectors = shards.from_bf16(sample["image.bf16"], WIDTH)
        assert vectors == pytest.approx(AreaTeacher().embed_images(looks), rel=2**-8)


def test_no_batch_is_made_long_before_it_is_asked_for():
    asked = []

    def items():
        for number in range(20):
            asked.append(number)
            yield number

    with ThreadPoolExecutor(2) as threads:
        results = embed._ahead(threads, lambda number: number * number, items(), 3)
        assert [next(results), next(results)] == [0, 1]
        assert len(asked) <= 6
        assert list(results) == [number * number for number in range(2, 20)]


def test_what_is_there_is_not_made_again(folders, embedder):
    item = items_of(folders)[0]
    first = embedder(item)
    files = {path: path.stat().st_mtime_ns for path in folders["place"].rglob("*.*")}
    asked = CountingTeacher.num_asked
    assert embedder(item) == first
    assert CountingTeacher.num_asked == asked > 0
    assert {path: path.stat().st_mtime_ns for path in folders["place"].rglob("*.*")} == files


def test_a_shard_that_broke_off_is_made_again(folders, embedder):
    item = items_of(folders)[0]
    embedder(item)
    whole = embedded_samples(folders["place"])
    (folders["place"] / "scores" / "00000.parquet").unlink()
    (folders["place"] / "shards" / "00000.tar").write_bytes(b"half a shard")
    assert embedder(item) == counts(pairs=5)
    again = embedded_samples(folders["place"])
    assert [sample["image.bf16"] for sample in again] == [sample["image.bf16"] for sample in whole]


def test_a_text_list_is_cut_into_items(tmp_path):
    lines = ["a red picture", "", "  红色的图片  ", "blue", "   ", "green", "yellow"]
    (tmp_path / "words.txt").write_text("\n".join(lines))
    items = embed.text_items("en", str(tmp_path / "words.txt"), tmp_path, texts_per_item=2)
    assert [item["name"].split("-")[-1] for item in items] == ["00000", "00001", "00002"]
    assert [item["texts"] for item in items] == [
        ["a red picture", "红色的图片"],
        ["blue", "green"],
        ["yellow"],
    ]


def test_an_empty_text_list_is_no_item(tmp_path):
    (tmp_path / "words.txt").write_text("\n\n")
    assert embed.text_items("en", str(tmp_path / "words.txt"), tmp_path) == []


def test_a_text_ends_at_a_line_feed_alone(tmp_path):
    (tmp_path / "words.txt").write_bytes("one\u2028two\r\nthree\x0cfour\n".encode("utf-8-sig"))
    (item,) = embed.text_items("en", str(tmp_path / "words.txt"), tmp_path)
    assert item["texts"] == ["one\u2028two", "three\x0cfour"]


def test_lists_of_one_name_in_two_folders_do_not_hide_each_other(tmp_path):
    names = set()
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.txt").write_text(folder)
        (item,) = embed.text_items("en", str(tmp_path / folder / "words.txt"), tmp_path)
        names.add(item["name"])
    assert len(names) == 2


def test_texts_come_out_with_language_and_vector(folders, embedder, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(TEXTS * 6))
    (item,) = embed.text_items("en", str(tmp_path / "words.txt"), folders["place"])
    assert embedder(item) == counts(texts=len(TEXTS) * 6)
    rows = pq.read_table(folders["place"] / "texts").to_pylist()
    vectors = np.concatenate([shards.from_bf16(row["vector"], WIDTH) for row in rows])
    assert [row["text"] for row in rows] == TEXTS * 6
    assert {row["lang"] for row in rows} == {"en"}
    assert np.array_equal(vectors, ToyTeacher().embed_texts(TEXTS * 6))
    assert embedder(item) == counts(texts=len(TEXTS) * 6)
    assert CountingTeacher.num_asked == len(TEXTS) * 6
