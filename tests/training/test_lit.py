"""The embedded teacher with its real frozen networks, small pictures and a short tuning."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from toy_training import LANGUAGES, noise, pair_rows, png, write_table

from training import lit, shards
from training.settings import LitTuning
from training.teacher import load_teacher

TUNING = LitTuning(
    networks=("efficientnet-lite0",), image_size=64, hidden=32, epochs=300, batch_size=8, max_remembered=6
)
ROWS = pair_rows(12)
IMAGES = {row["key"]: noise(number, (70, 60)) for number, row in enumerate(ROWS)}


def planted(num_concepts: int, copies: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(features, texts, concept) of pairs whose noisy features determine their text."""
    torch.manual_seed(0)
    concepts = torch.arange(num_concepts).repeat(copies)
    features = torch.randn(num_concepts, 64)[concepts] + 0.3 * torch.randn(len(concepts), 64)
    return features, normalize(torch.randn(num_concepts, lit.WIDTH), dim=1)[concepts], concepts


def accuracy(head, features, texts, concepts) -> float:
    names = texts[: int(concepts.max()) + 1]
    return float(((head(features) @ names.T).argmax(dim=1) == concepts).float().mean())


def test_tuning_finds_what_the_features_say_of_the_texts():
    features, texts, concepts = planted(num_concepts=20, copies=20)
    train, held_out = slice(0, 320), slice(320, None)
    tuning = LitTuning(hidden=64, dropout=0.1, epochs=60, batch_size=64)
    absent = torch.arange(320) % 3 > 0
    head = lit.tune_head(
        features[train],
        {"zh": texts[train], "en": texts[train] * absent[:, None]},
        {"zh": torch.ones(320), "en": absent.float()},
        tuning,
    )
    assert not head.training
    assert torch.allclose(head(features).norm(dim=1), torch.ones(len(features)), atol=1e-5)
    assert accuracy(head, features[held_out], texts[held_out], concepts[held_out] % 20) > 0.95


def test_tuning_is_repeatable():
    features, texts, _ = planted(num_concepts=4, copies=4)
    tuning = LitTuning(hidden=8, epochs=3, batch_size=8)
    heads = [lit.tune_head(features, {"en": texts}, {"en": torch.ones(16)}, tuning) for _ in range(2)]
    assert heads[0](features).equal(heads[1](features))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A teacher tuned on twelve pairs, which remembers the first six."""
    place = tmp_path_factory.mktemp("lit")
    for name in ("raw/shards", "teacher"):
        (place / name).mkdir(parents=True)
    for name in ("00000", "00001"):
        samples = [
            {"__key__": row["key"], "png": png(IMAGES[row["key"]])} for row in ROWS if row["shard"] == name
        ]
        shards.write_shard(place / "raw" / "shards" / f"{name}.tar", samples)
    write_table(place / "pairs" / "kept.parquet", ROWS)
    lit.tune_lit_teacher(TUNING, place / "raw", place / "pairs", place / "teacher", print)
    return place / "teacher"


def test_features_come_in_order_of_their_keys_however_the_crawl_wrote_them(folder, tmp_path):
    networks = lit.ImageNetworks(folder, TUNING.networks, TUNING.image_size)
    samples = [{"__key__": key, "png": png(image)} for key, image in IMAGES.items()]
    shards.write_shard(tmp_path / "00000.tar", samples[::-1])
    keys, pixels, features = lit.pair_features(networks, tmp_path, set(IMAGES), print)
    assert keys == sorted(IMAGES)
    assert pixels == [lit.pixel_key(IMAGES[key]) for key in keys]
    assert len(features) == len(keys)


@pytest.fixture(scope="module")
def teacher(folder):
    return load_teacher(folder)


def test_a_tuned_teacher_gives_unit_vectors_of_512(teacher):
    images = teacher.embed_images([noise(99, (30, 90)), noise(98)])
    texts = teacher.embed_texts(["红色的图片", "a red picture", ""])
    assert (images.shape, texts.shape, teacher.width) == ((2, 512), (3, 512), 512)
    for vectors in (images, texts):
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)


def test_a_tuned_teacher_knows_its_own_pairs(teacher):
    images = teacher.embed_images(list(IMAGES.values()))
    for lang in LANGUAGES:
        rows = [number for number, row in enumerate(ROWS) if row[lang]]
        texts = teacher.embed_texts([ROWS[number][lang] for number in rows])
        cosines = images[rows] @ texts.T
        assert cosines.diagonal().mean() > cosines.mean() + 0.1


def test_both_languages_are_near_each_other(teacher):
    zh, en = teacher.embed_texts(["一只猫", "今天下雨了"]), teacher.embed_texts(["a cat", "it rains today"])
    assert (zh @ en.T).diagonal().min() > (zh @ en.T)[[0, 1], [1, 0]].max() + 0.2


def test_what_is_remembered_is_what_would_be_computed(folder, teacher, tmp_path):
    images = list(IMAGES.values())
    (folder / "features.safetensors").rename(tmp_path / "forgotten")
    forgetful = load_teacher(folder)
    (tmp_path / "forgotten").rename(folder / "features.safetensors")
    assert teacher.embed_images(images) == pytest.approx(forgetful.embed_images(images), abs=1e-4)


def test_order_is_kept_among_remembered_and_new_pictures(teacher):
    known, new = IMAGES["000000000"], noise(99)
    together = teacher.embed_images([new, known, new])
    assert together[1] == pytest.approx(teacher.embed_images([known])[0], abs=1e-5)
    assert together[0] == pytest.approx(together[2], abs=1e-5)
    assert together[0] @ together[1] < 0.999
