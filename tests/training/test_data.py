"""What training reads of a tiny embedded folder: shares, selection, order, pictures, batches."""

import numpy as np
import pytest
import torch
from toy_training import COLOURS, HAN, LANGUAGES, SIDE, WIDTH, ToyTeacher, noise, picture, tiny_student

from training import data, shards, views

WORLD = 3


@pytest.fixture(scope="module")
def selection(corpus):
    return data.read_selection(corpus.selection)


@pytest.fixture(scope="module")
def pairs(corpus, selection):
    return data.read_pairs(corpus.embedded, selection, SIDE, WIDTH)


@pytest.fixture(scope="module")
def texts(corpus, pairs):
    return data.read_texts(corpus.embedded, pairs, WIDTH)


def selected_rows(corpus) -> list[dict]:
    return [row for row in corpus.rows if row["key"] != corpus.unselected]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_reads_pictures_captions_and_vectors(corpus, pairs):
    rows = selected_rows(corpus)
    colours = [shards.Image.new("RGB", (1, 1), row["colour"]).getpixel((0, 0)) for row in rows]
    images = ToyTeacher().embed_images([picture(row["colour"]) for row in rows])
    assert len(pairs) == len(rows)
    assert [tuple(image[0, :, 0, 0].tolist()) for image in pairs.images] == colours
    assert pairs.images.dtype == torch.uint8
    assert np.allclose(pairs.image_vectors[:, 0], images, atol=2**-8)
    assert (pairs.text_vectors["zh"].sum(dim=1) == pairs.has["zh"]).all()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_captions_that_are_not_there_are_empty_with_a_zero_vector(corpus, pairs, lang):
    wanted = [row[lang] or "" for row in selected_rows(corpus)]
    if lang == "en":
        wanted[wanted.index("a blue picture 8")] = ""
    there = [bool(text) for text in wanted]
    assert pairs.captions[lang] == wanted
    assert pairs.has[lang].bool().tolist() == there
    assert pairs.text_vectors[lang].any(dim=1).tolist() == there


def test_what_was_not_selected_reaches_nobody(corpus, pairs, texts, selection):
    banned = {"a yellow picture 3", "黄色的图片 3", "a blue picture 8"}
    assert banned == {corpus.rows[3]["en"], corpus.rows[3]["zh"], corpus.rows[8]["en"]}
    assert banned.isdisjoint(pairs.captions["en"] + pairs.captions["zh"])
    assert banned.isdisjoint(texts.texts)
    assert banned.isdisjoint(data.training_texts(corpus.embedded, selection))


def test_ranks_share_the_samples_without_overlap_or_loss(corpus, selection):
    shares = [
        [sample["__key__"] for sample in data.selected_samples(corpus.embedded, selection, rank, WORLD)]
        for rank in range(WORLD)
    ]
    assert sorted(key for share in shares for key in share) == sorted(selection)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_ranks_share_the_pairs_without_overlap_or_loss(corpus, selection, pairs):
    shares = [data.read_pairs(corpus.embedded, selection, SIDE, WIDTH, rank, WORLD) for rank in range(WORLD)]
    assert sum(map(len, shares)) == len(pairs)
    for rank, share in enumerate(shares):
        assert share.captions["zh"] == pairs.captions["zh"][rank::WORLD]
        assert share.images.equal(pairs.images[rank::WORLD])
        assert share.text_vectors["en"].equal(pairs.text_vectors["en"][rank::WORLD])


def test_texts_are_the_lists_and_then_the_captions(pairs, texts):
    captions = [text for lang in LANGUAGES for text in pairs.captions[lang] if text]
    assert texts.texts == [*COLOURS, *HAN.values(), *captions]
    assert texts.num_captions == len(captions)
    assert np.array_equal(texts.vectors, ToyTeacher().embed_texts(texts.texts))


def test_ranks_share_the_texts(corpus, selection, texts):
    found = []
    for rank in range(WORLD):
        pairs = data.read_pairs(corpus.embedded, selection, SIDE, WIDTH, rank, WORLD)
        found += data.read_texts(corpus.embedded, pairs, WIDTH, rank, WORLD).texts
    assert sorted(found) == sorted(texts.texts)


def test_the_tokenizer_learns_from_captions_and_texts(corpus, selection, texts):
    assert sorted(data.training_texts(corpus.embedded, selection)) == sorted(texts.texts)


def test_known_vectors_are_those_of_the_lists(corpus):
    known = data.known_vectors(corpus.embedded, WIDTH)
    assert set(known) == {*COLOURS, *HAN.values()}
    assert known["红"].tolist() == known["red"].tolist() == np.eye(WIDTH)[0].tolist()


@pytest.fixture(scope="module")
def viewed(corpus, selection, tmp_path_factory):
    """The corpus with two views of each picture, and the pictures of two pairs spoiled."""
    folder = tmp_path_factory.mktemp("viewed")
    (folder / "shards").mkdir()
    for path in sorted(corpus.embedded.glob("shards/*.tar")):
        shards.write_shard(folder / "shards" / path.name, map(with_views, shards.read_shard(path)))
    return folder


def with_views(sample: dict) -> dict:
    drawn = views.draw_views(sample["__key__"], views.ViewRules(num_views=2, max_jitter=0.9))
    record = {**shards.record_of(sample), "views": views.to_record(drawn)}
    plain = shards.from_bf16(sample["image.bf16"], WIDTH)
    stored = shards.to_bf16(np.concatenate([plain, 2 * plain, 4 * plain]))
    spoiled = {"png": b"no picture"} if sample["__key__"] in ("000000001", "000000002") else {}
    return {**sample, "json": shards.json_bytes(record), "image.bf16": stored, **spoiled}


def test_views_are_shown_again_beside_their_vectors(viewed, selection, pairs):
    found = data.read_pairs(viewed, selection, SIDE, WIDTH)
    there = [row for row in range(len(pairs)) if row not in (1, 2)]
    assert found.images.shape == (len(there), 3, 3, SIDE, SIDE)
    assert found.images[:, 0].equal(pairs.images[there, 0])
    assert found.image_vectors[:, 2].equal(4 * pairs.image_vectors[there, 0])
    (sample, *_) = shards.read_shard(viewed / "shards" / "00000.tar")
    (_, second) = views.from_record(shards.record_of(sample)["views"])
    shown = views.show(shards.image_of(sample), second)
    assert found.images[0, 2].equal(data.pixels_of(shown, SIDE))


def test_pictures_that_cannot_be_read_are_left_out_and_counted(viewed, selection, pairs):
    found = data.read_pairs(viewed, selection, SIDE, WIDTH)
    assert (len(found), found.num_unreadable) == (len(pairs) - 2, 2)
    assert pairs.num_unreadable == 0
    assert found.captions["zh"] == [pairs.captions["zh"][0], *pairs.captions["zh"][3:]]


def test_a_batch_has_the_vector_of_the_view_it_shows(viewed, selection):
    found = data.read_pairs(viewed, selection, SIDE, WIDTH)
    rows, drawn = torch.tensor([0, 5, 7]), torch.tensor([2, 0, 1])
    batch = data.pair_batch(found, rows, tiny_student().tokenizer, ("image",), drawn)
    for place, (row, view) in enumerate(zip(rows, drawn, strict=True)):
        assert batch["image_vector"][place].equal(found.image_vectors[row, view])
        assert batch["pixels"][place].equal(found.images[row, view].float() / 127.5 - 1)


def test_views_of_a_step_depend_on_seed_and_step_alone_and_all_come():
    drawn = data.views_of_step(4, 1_000, 7, seed=1)
    assert drawn.equal(data.views_of_step(4, 1_000, 7, seed=1))
    assert not drawn.equal(data.views_of_step(4, 1_000, 8, seed=1))
    assert torch.bincount(drawn, minlength=4).min() > 200
    assert data.views_of_step(1, 5, 7, seed=1).tolist() == [0] * 5


@pytest.mark.parametrize(("num_rows", "batch_size"), [(10, 4), (7, 3), (3, 8), (5, 5), (4, 1)])
def test_every_row_comes_once_an_epoch(num_rows, batch_size):
    steps = [data.rows_of_step(num_rows, batch_size, step, seed=0) for step in range(2 * num_rows)]
    assert {len(rows) for rows in steps} == {batch_size}
    for epoch in torch.cat(steps).view(-1, num_rows):
        assert sorted(epoch.tolist()) == list(range(num_rows))


def test_epochs_differ():
    first, second = (data.rows_of_step(20, 20, step, seed=0) for step in (0, 1))
    assert first.tolist() != second.tolist()


def test_rows_depend_on_seed_and_step_alone():
    def rows(seed):
        return data.rows_of_step(20, 6, 5, seed).tolist()

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_rows_of_texts_depend_on_seed_and_step_alone(texts):
    def rows(step, seed):
        return data.text_rows_of_step(texts, 0.5, 6, step, seed).tolist()

    assert rows(9, 0) == rows(9, 0)
    assert rows(9, 0) != rows(9, 1)
    assert rows(9, 0) != rows(10, 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_texts_have_their_share_of_captions(texts, share):
    rows = torch.cat([data.text_rows_of_step(texts, share, 32, step, seed=0) for step in range(32)])
    captions = (rows >= len(texts) - texts.num_captions).float().mean()
    assert float(captions) == pytest.approx(share, abs=0.05)


def test_texts_of_a_step_are_of_like_length(texts):
    def spread(rows):
        lengths = [len(texts.texts[row].encode()) for row in rows]
        return max(lengths) - min(lengths)

    steps = [data.text_rows_of_step(texts, 0.5, 8, step, seed=0) for step in range(16)]
    assert np.mean([spread(rows) for rows in steps]) < spread(range(len(texts))) / 2


@pytest.mark.parametrize("image", [noise(0), noise(1, (20, 90)), noise(2, (SIDE, SIDE)), picture("red")])
def test_pictures_look_as_the_image_processor_shows_them(student, image):
    ours = data.pixels_of(image, SIDE).float() / 127.5 - 1
    theirs = student.image_processor(images=[image], return_tensors="pt")["pixel_values"][0]
    assert ours.shape == (3, SIDE, SIDE)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_no_augmentation_is_the_identity():
    images = torch.rand(3, 3, 8, 8)
    assert data.augment(images, 0.0, chance()).equal(images)


def test_white_stays_white():
    white = torch.ones(4, 3, 8, 8)
    assert torch.allclose(data.augment(white, 0.5, chance()), white, atol=1e-6)


def test_augmentation_moves_each_picture_its_own_way_onto_white():
    black = -torch.ones(16, 3, 12, 12)
    moved = data.augment(black, 0.3, chance())
    assert moved.shape == black.shape
    assert (moved.min(), moved.max()) == (-1, 1)
    assert len({float(image.sum()) for image in moved}) == len(black)
    assert moved.equal(data.augment(black, 0.3, chance()))
    assert not moved.equal(data.augment(black, 0.3, chance(1)))


def test_augmentation_shifts_by_at_most_its_share_of_the_side():
    dot = torch.ones(64, 1, 41, 41)
    dot[:, :, 20, 20] = -1
    moved = data.augment(dot, 0.1, chance())
    rows = moved[:, 0].amin(dim=2).argmin(dim=1)
    assert (rows - 20).abs().max() <= 5
    assert (rows - 20).abs().max() >= 3


@pytest.mark.parametrize(
    ("towers", "inputs"),
    [
        (("image",), {"pixels"}),
        (("text",), {"zh_tokens", "en_tokens"}),
        (("image", "text"), {"pixels", "zh_tokens", "en_tokens"}),
    ],
)
def test_a_pair_batch_has_input_for_the_towers_that_learn(pairs, towers, inputs):
    batch = data.pair_batch(pairs, torch.tensor([0, 5, 7]), tiny_student().tokenizer, towers)
    stored = {"image_vector", "zh_vector", "en_vector", "has_zh", "has_en"}
    assert set(batch) == stored | inputs
    assert batch["has_en"].tolist() == [1, 0, 0]


def test_pixels_of_a_batch_are_from_minus_one_to_one(pairs):
    batch = data.pair_batch(pairs, torch.arange(len(pairs)), tiny_student().tokenizer, ("image",))
    assert (batch["pixels"].min(), batch["pixels"].max()) == (-1, 1)
    assert batch["pixels"].shape == (len(pairs), 3, SIDE, SIDE)


def test_a_text_batch_has_tokens_and_vectors(texts):
    tokenizer = tiny_student().tokenizer
    batch = data.text_batch(texts, torch.tensor([0, len(texts) - 1]), tokenizer)
    assert batch["text_vector"].equal(texts.vectors[[0, -1]])
    first, last = batch["text_tokens"]["input_ids"]
    assert tokenizer.decode(first, skip_special_tokens=True) == "red"
    assert batch["text_tokens"]["attention_mask"].sum(dim=1).tolist() == [3, (last > 0).sum()]


@pytest.mark.parametrize("wanted", [7, 1_000])
def test_anchors_are_vectors_of_captions_that_are_there(pairs, texts, wanted):
    anchors = data.draw_anchors(pairs, wanted, chance())
    assert anchors.shape == (min(wanted, texts.num_captions), WIDTH)
    assert anchors.norm(dim=1).eq(1).all()
