"""Reading embedded shards and texts by units: what is selected, what is broken, what is known."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_training import COLOURS, HAN, WIDTH, all_pairs, noise, png, sources_of, write_table

from infra.object_parts import not_there
from training import shards
from training.embedded import Embedded, _is_broken
from training.selection import Selection
from training.stream import Unit, cut_units

BANNED = {"a yellow picture 3", "黄色的图片 3", "a blue picture 8"}


@pytest.fixture(scope="module")
def embedded(corpus) -> Embedded:
    return sources_of(corpus).embedded


def captions_of(corpus) -> list[str]:
    texts = {row[lang] for row in corpus.rows for lang in ("zh", "en")}
    return sorted(texts - BANNED - {None})


def test_what_was_not_selected_reaches_nobody(corpus, embedded):
    assert {corpus.rows[3]["en"], corpus.rows[3]["zh"], corpus.rows[8]["en"]} == BANNED
    assert BANNED.isdisjoint(embedded.training_texts())
    captions = {text for row in all_pairs(sources_of(corpus)) for text in row.captions.values()}
    assert sorted(captions) == captions_of(corpus)


@pytest.mark.parametrize("world", [1, 3])
def test_units_of_a_shard_share_its_pairs(corpus, embedded, world):
    units = cut_units(embedded.selection.counts().pairs, world)
    found = [row for unit in units for row in embedded.pairs(unit)]
    assert sorted(row.key for row in found) == [
        row["key"] for row in corpus.rows if row["key"] != corpus.unselected
    ]


@pytest.mark.parametrize("world", [1, 3])
def test_units_of_a_shard_share_its_captions(corpus, embedded, world):
    units = cut_units(embedded.selection.counts().captions, world)
    parts = [embedded.captions(unit) for unit in units]
    assert [len(part) for part in parts] == [unit.num_rows for unit in units]
    assert sorted(row.text for part in parts for row in part) == captions_of(corpus)


def test_units_of_the_lists_share_their_texts(embedded):
    units = cut_units(embedded.num_texts(), 2)
    assert len(units) > len(embedded.num_texts())
    found = [row.text for unit in units for row in embedded.texts(unit)]
    assert sorted(found) == sorted([*COLOURS, *HAN.values()])


def test_pairs_come_in_order_of_their_keys_however_the_crawl_wrote_them(corpus, embedded, tmp_path):
    unit = Unit("00000", 11)
    (tmp_path / "shards").mkdir()
    samples = list(shards.read_shard(corpus.embedded / "shards" / "00000.tar"))
    shards.write_shard(tmp_path / "shards" / "00000.tar", samples[::-1])
    backwards = Embedded(tmp_path, embedded.selection, WIDTH).pairs(unit)
    assert backwards == embedded.pairs(unit)
    assert [row.key for row in backwards] == sorted(row.key for row in backwards)


def test_a_text_file_that_was_cut_off_is_left_out_and_said(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    rows = pa.table({"text": ["red"], "vector": [bytes(2 * WIDTH)]})
    pq.write_table(rows, texts / "whole.parquet")
    whole = (texts / "whole.parquet").read_bytes()
    (texts / "cut.parquet").write_bytes(whole[:-20])
    (texts / "pages.parquet").write_bytes(whole[:4] + bytes(60) + whole[64:])
    embedded = Embedded(tmp_path, None, WIDTH)
    with pytest.warns(UserWarning, match="cut.parquet is broken"):
        counts = embedded.num_texts()
    found = {name: [row.text for row in embedded.texts(Unit(name, 1))] for name in counts}
    assert found == {"pages.parquet#0": [], "whole.parquet#0": ["red"]}


def test_a_disk_that_fails_leaves_no_text_out(tmp_path):
    (tmp_path / "texts" / "0.parquet").mkdir(parents=True)
    embedded = Embedded(tmp_path, None, WIDTH)
    with pytest.raises(IsADirectoryError):
        embedded.num_texts()
    with pytest.raises(FileNotFoundError):
        embedded.texts(Unit("1.parquet#0", 1))


def test_pictures_are_read_only_where_they_are_asked_for(embedded):
    unit = Unit("00000", 11)
    assert {row.image for row in embedded.pairs(unit, with_images=False)} == {None}
    assert all(row.image for row in embedded.pairs(unit))


def test_texts_are_trained_on_without_the_tars(corpus, embedded, tmp_path):
    for name in ("captions", "texts"):
        (tmp_path / name).symlink_to(corpus.embedded / name)
    without = Embedded(tmp_path, embedded.selection, WIDTH)
    for name, number in embedded.selection.counts().captions.items():
        unit = Unit(name, number)
        pairs = embedded.pairs(unit, with_images=False)
        expected = [
            (pair.captions[lang], pair.text_vectors[lang]) for pair in pairs for lang in pair.captions
        ]
        assert [(row.text, row.vector) for row in without.captions(unit)] == expected
    assert list(without.training_texts()) == list(embedded.training_texts())


# A selected pair of which the English caption is used.
CHOSEN = {
    "key": "1",
    "shard": "00000",
    "use_zh": False,
    "use_en": True,
    "score_zh": None,
    "score_en": 0.5,
}


@pytest.mark.parametrize(
    "stored, found",
    [({}, 1), ({"en": None}, 0), ({"en_vector": None}, 0), ({"en_vector": b"\0\0"}, 0), ({"key": "9"}, 0)],
)
def test_a_caption_without_its_vector_is_left_out(tmp_path, stored, found):
    row = {"key": "1", "zh": None, "en": "red", "zh_vector": None, "en_vector": bytes(2 * WIDTH)} | stored
    write_table(tmp_path / "captions" / "00000.parquet", [row])
    write_table(tmp_path / "selected.parquet", [CHOSEN])
    embedded = Embedded(tmp_path, Selection(tmp_path), WIDTH)
    assert len(embedded.captions(Unit("00000", 1))) == found


def test_what_an_older_version_left_says_what_to_do(tmp_path):
    write_table(tmp_path / "selected.parquet", [CHOSEN])
    embedded = Embedded(tmp_path, Selection(tmp_path), WIDTH)
    with pytest.raises(ValueError, match="run select_pairs again"):
        list(embedded.training_texts())
    with pytest.raises(ValueError, match="run embed_pairs again"):
        embedded.captions(Unit("00000", 1))


def test_the_tokenizer_learns_from_captions_and_texts(corpus, embedded):
    assert sorted(embedded.training_texts()) == sorted([*COLOURS, *HAN.values(), *captions_of(corpus)])


def test_parallel_captions_are_of_the_same_picture(corpus, embedded):
    rows = [row for row in corpus.rows if row["zh"] and row["en"] and row["key"] != corpus.unselected]
    expected = [(row["zh"], row["en"]) for row in rows if (row["key"], "en") != corpus.unused]
    assert sorted(embedded.parallel_captions()) == sorted(expected)


def test_known_vectors_are_those_of_the_lists(embedded):
    known = {}
    for texts, vectors in embedded.known_vectors():
        known.update(zip(texts, vectors, strict=True))
    assert set(known) == {*COLOURS, *HAN.values()}
    assert known["红"].tolist() == known["red"].tolist() == np.eye(WIDTH)[0].tolist()


def test_of_too_many_known_vectors_even_row_groups_are_taken(embedded):
    groups = [texts for texts, _ in embedded.known_vectors()]
    assert len(groups) > 1
    assert [texts for texts, _ in embedded.known_vectors(sum(map(len, groups)) - 1)] == groups[::2]


def whole() -> dict:
    vector = shards.to_bf16(np.eye(WIDTH, dtype=np.float32)[:1])
    record = shards.json_bytes({"zh": "红", "en": "red"})
    vectors = {"image.bf16": vector, "zh.bf16": vector}
    return {"__key__": "000000008", "png": png(noise(0)), "json": record, **vectors}


@pytest.mark.parametrize(
    "broken",
    [
        {"json": b"{"},
        {"json": b"[]"},
        {"json": b"{}"},
        {"json": shards.json_bytes({"zh": None})},
        {"json": shards.json_bytes({"zh": "x", "views": [{"crop": 1}]})},
        {"json": None},
        {"image.bf16": b"\0\0"},
        {"zh.bf16": b""},
        {"zh.bf16": None},
    ],
)
def test_a_pair_that_is_not_whole_is_left_out(corpus, tmp_path, broken):
    (tmp_path / "shards").mkdir()
    folder = Embedded(tmp_path, Selection(corpus.selection), WIDTH)
    changed = {**whole(), **broken}
    bad = {name: content for name, content in changed.items() if content is not None}
    for sample, number in ((whole(), 1), (bad, 0)):
        shards.write_shard(tmp_path / "shards" / "00000.tar", [sample])
        assert len(folder.pairs(Unit("00000", 1))) == number


def test_an_object_that_is_not_there_is_no_broken_file():
    """Or a shard's captions would be left out in silence."""
    assert not _is_broken(not_there("s3://bucket/captions/00000.parquet"))
    assert _is_broken(OSError("Corrupt footer"))
