"""Shards: what goes in comes out, half a shard never shows, and a picture can be too large."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from toy_training import noise, png

from training import shards

SAMPLES = [
    {"__key__": "000000000", "png": png(noise(0)), "json": shards.json_bytes({"zh": "红色", "en": None})},
    {"__key__": "000000001", "png": png(noise(1)), "image.bf16": b"\x00\x01", "zh.bf16": b"\x02\x03"},
]


def contents(sample: dict) -> dict:
    return {name: content for name, content in sample.items() if name == "__key__" or name[0] != "_"}


def breaking_off():
    yield SAMPLES[0]
    raise RuntimeError("the source broke off")


def test_write_and_read_round_trip(tmp_path):
    shards.write_shard(tmp_path / "00000.tar", SAMPLES)
    found = list(shards.read_shard(tmp_path / "00000.tar"))
    assert [contents(sample) for sample in found] == SAMPLES
    assert shards.record_of(found[0]) == {"zh": "红色", "en": None}
    assert shards.image_of(found[1]).tobytes() == noise(1).tobytes()


def test_an_empty_shard_is_a_shard(tmp_path):
    shards.write_shard(tmp_path / "00000.tar", [])
    assert list(shards.read_shard(tmp_path / "00000.tar")) == []


def test_writing_replaces_what_was_there_and_leaves_nothing_else(tmp_path):
    for samples in (SAMPLES, SAMPLES[:1]):
        shards.write_shard(tmp_path / "00000.tar", samples)
    assert len(list(shards.read_shard(tmp_path / "00000.tar"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["00000.tar"]


def test_half_a_shard_is_never_seen(tmp_path):
    with pytest.raises(RuntimeError, match="broke off"):
        shards.write_shard(tmp_path / "00000.tar", breaking_off())
    assert list(tmp_path.glob("*.tar")) == []


def test_half_a_shard_is_cleared_away(tmp_path):
    with pytest.raises(RuntimeError, match="broke off"):
        shards.write_shard(tmp_path / "00000.tar", breaking_off())
    assert list(tmp_path.iterdir()) == []


def test_bfloat16_keeps_eight_bits_of_every_number():
    vectors = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32) * 10.0 ** np.arange(-8, 8)
    back = shards.from_bf16(shards.to_bf16(vectors), 16)
    assert back.shape == vectors.shape
    assert back.dtype == np.float32
    assert (np.abs(back - vectors) <= np.abs(vectors) * 2.0**-8).all()


def test_bfloat16_is_half_the_size_and_stable():
    stored = shards.to_bf16(np.random.default_rng(0).normal(size=16).astype(np.float32))
    assert len(stored) == 2 * 16
    assert shards.to_bf16(shards.from_bf16(stored, 16)) == stored


def test_a_broken_tar_gives_the_samples_before_the_break(tmp_path):
    path = tmp_path / "00000.tar"
    shards.write_shard(path, SAMPLES)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"image.bf16") + 512])
    with pytest.raises(tarfile.ReadError):
        list(shards.read_shard(path))
    assert [contents(sample) for sample in shards.read_unbroken(path)] == SAMPLES[:1]
    path.write_bytes(b"no tar at all")
    assert list(shards.read_unbroken(path)) == []


def test_a_shard_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(shards.read_unbroken(tmp_path / "00000.tar"))


def test_members_that_are_too_large_or_no_files_are_not_read(tmp_path, monkeypatch):
    shards.write_shard(tmp_path / "00000.tar", SAMPLES)
    with tarfile.open(tmp_path / "00000.tar", "a") as tar:
        link = tarfile.TarInfo("000000001.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    monkeypatch.setattr(shards, "MAX_MEMBER_BYTES", 100)
    first, second = (contents(sample) for sample in shards.read_shard(tmp_path / "00000.tar"))
    assert set(first) == {"__key__", "json"}
    assert set(second) == {"__key__", "image.bf16", "zh.bf16"}


def test_a_compressed_tar_is_refused(tmp_path):
    with tarfile.open(tmp_path / "00000.tar", "w:gz"):
        pass
    with pytest.raises(tarfile.ReadError):
        list(shards.read_shard(tmp_path / "00000.tar"))


@pytest.mark.parametrize("stored", [b"", b"no picture", png(noise(0))[:200]])
def test_a_picture_that_cannot_be_decoded_is_none(stored):
    assert shards.image_or_none({"__key__": "a", "png": stored}) is None


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_every_picture_is_rgb(mode):
    stored = png(noise(0).convert(mode))
    assert shards.image_of({"__key__": "a", "png": stored}).mode == "RGB"


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_other_encodings_are_read(kind):
    stream = io.BytesIO()
    noise(0).save(stream, {"jpg": "JPEG"}.get(kind, kind))
    assert shards.image_of({"__key__": "a", kind: stream.getvalue()}).size == noise(0).size


def test_a_sample_without_a_picture_is_named():
    with pytest.raises(KeyError, match="sample 000000007 has no image"):
        shards.image_of({"__key__": "000000007", "json": b"{}"})


def test_a_decompression_bomb_is_refused():
    side = int(shards.Image.MAX_IMAGE_PIXELS**0.5)
    bomb = Image.new("1", (2 * side, side + 1000))
    with pytest.raises(Image.DecompressionBombError):
        shards.image_of({"__key__": "a", "png": png(bomb)})


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_no_picture_beyond_the_limit_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    stored = png(noise(0, (150, 100)))
    with pytest.raises(Image.DecompressionBombError):
        shards.image_of({"__key__": "a", "png": stored})
