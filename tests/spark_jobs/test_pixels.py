"""Rules that open the image, on pictures made here and on tars that end in the middle."""

import errno
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyspark.sql import functions as F

from spark_jobs import pixels
from spark_jobs.limits import ImageLimits

LIMITS = ImageLimits(min_bytes=200, min_sigma=2.0, min_entropy=1.5)


def encoded(values: np.ndarray, form: str = "PNG") -> bytes:
    """Grey values or colours as a picture file."""
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(stream, form)
    return stream.getvalue()


def noise(low: int, high: int, side: int = 64) -> np.ndarray:
    """Grey values drawn evenly."""
    return np.random.default_rng(0).integers(low, high, (side, side))


STRIPES = np.repeat(np.tile([0, 255], 32)[None], 64, axis=0)
PICTURES = {
    "good": (encoded(noise(0, 256)), None),
    "good jpg": (encoded(noise(0, 256), "JPEG"), None),
    "good webp": (encoded(noise(0, 256), "WEBP"), None),
    "tiny file": (encoded(noise(0, 256, 4)), "image_too_few_bytes"),
    "white": (encoded(np.full((400, 400, 3), 255)), "image_blank"),
    "nearly white": (encoded(noise(250, 255)), "image_blank"),
    "two values": (encoded(np.kron(STRIPES, np.ones((9, 9)))), "image_low_entropy"),
    "cut off": (encoded(noise(0, 256))[:2000], "unreadable_image"),
    "page": (b"<html>" + b"x" * 500, "unreadable_image"),
    "gif": (encoded(noise(0, 256), "GIF"), "unreadable_image"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name):
    body, reason = PICTURES[name]
    assert pixels.judge_picture(body, LIMITS)[0] == reason


@pytest.mark.parametrize(
    "name, word", [("white", "sigma"), ("two values", "entropy"), ("tiny file", "bytes")]
)
def test_the_message_says_what_was_measured(name, word):
    assert word in pixels.judge_picture(PICTURES[name][0], LIMITS)[1]


def test_too_many_pixels_are_never_decoded(monkeypatch):
    monkeypatch.setattr(pixels, "MAX_PIXELS", 64 * 63)
    reason, message = pixels.judge_picture(PICTURES["good"][0], LIMITS)
    assert (reason, message) == ("unreadable_image", "ValueError: 64 x 64 pixels are too many")


@pytest.mark.parametrize("values, bits", [(1, 0.0), (2, 1.0), (16, 4.0), (256, 8.0)])
def test_entropy(values, bits):
    grey = (np.arange(256) % values).astype(np.uint8)
    assert pixels.entropy_of(grey) == pytest.approx(bits)


@pytest.mark.parametrize(
    "limits, opens",
    [
        (ImageLimits(min_bytes=0, min_sigma=0, min_entropy=0), False),
        (ImageLimits(min_bytes=1, min_sigma=0, min_entropy=0), True),
        (ImageLimits(min_bytes=0, min_sigma=1, min_entropy=0), True),
        (ImageLimits(min_bytes=0, min_sigma=0, min_entropy=1), True),
    ],
)
def test_images_are_opened_only_for_a_threshold(limits, opens):
    assert pixels.opens_images(limits) == opens


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    """A shard with these files."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


GOOD, WHITE = PICTURES["good"][0], PICTURES["white"][0]


@pytest.fixture
def shards(tmp_path) -> Path:
    """One whole shard, one that ends within its second picture, one that is no tar, one without pictures."""
    write_tar(tmp_path / "00000.tar", {"a.png": GOOD, "a.json": b"{}", "b.png": WHITE, "x.txt": b"c.png"})
    write_tar(tmp_path / "00001.tar", {"d.png": GOOD, "e.png": GOOD})
    whole = (tmp_path / "00001.tar").read_bytes()
    (tmp_path / "00001.tar").write_bytes(whole[: len(GOOD) + 2_500])
    (tmp_path / "00002.tar").write_bytes(b"no tar at all")
    write_tar(tmp_path / "00003.tar", {"g.json": b"{}"})
    return tmp_path


REASONS = {
    "a": None,
    "b": "image_blank",
    "c": "unreadable_image",
    "d": None,
    "e": "unreadable_image",
    "f": "unreadable_image",
    "g": "unreadable_image",
    "h": "http_error",
}


def test_rows_of_shards(spark, shards):
    places = {"00000": "abc", "00001": "de", "00002": "f", "00003": "gh"}
    rows = [
        (key, shard, "http_error" if key == "h" else None, None)
        for shard, keys in places.items()
        for key in keys
    ]
    made = spark.createDataFrame(rows, "key string, shard string, reason string, error_message string")
    found = pixels.mark_pixels(made.repartition(2, "shard").sortWithinPartitions("shard"), shards, LIMITS)
    assert {row["key"]: row["reason"] for row in found.collect()} == REASONS
    assert found.where(F.col("reason") == "image_blank").first()["error_message"] == "sigma 0.00"
    messages = {row["key"]: row["error_message"] for row in found.where(F.col("key").isin(*"efg")).collect()}
    assert messages["e"].startswith("its shard is broken") and messages["f"].startswith("its shard is broken")
    assert messages["g"] == "not in its shard"


@pytest.mark.parametrize("trouble", ["not there", "no file", "fails while it is read"])
def test_the_fault_of_a_disk_is_no_fault_of_an_image(tmp_path, trouble):
    path = tmp_path / "00000.tar"
    if trouble == "no file":
        path.mkdir()
    if trouble == "fails while it is read":
        path.symlink_to("/proc/self/mem")  # opens, and its first byte cannot be read: EIO
    with pytest.raises(OSError) as error:
        pixels.judge_shard(path, {"a"}, LIMITS)
    assert error.value.errno in (errno.ENOENT, errno.EISDIR, errno.EIO)


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 5, 100])
def test_no_shard_is_divided_between_batches(batch_rows):
    """A shard in two batches was read twice: 1.9 times on the whole, where retries left shards ragged."""
    rows = pa.record_batch({"shard": list("aaabbbbbcdd"), "key": list("0123456789x")})
    batches = [rows.slice(start, batch_rows) for start in range(0, len(rows), batch_rows)]
    found = list(pixels.whole_shards(iter([rows.slice(0, 0), *batches])))
    assert pa.Table.from_batches(found) == pa.Table.from_batches([rows])
    held = [set(batch["shard"].to_pylist()) for batch in found]
    assert sum(map(len, held)) == len(set().union(*held))


def test_a_member_that_claims_to_be_huge_is_not_read(shards, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_STORED_BYTES", len(GOOD) - 1)
    verdicts = pixels.judge_shard(shards / "00000.tar", {"a", "b"}, LIMITS)
    assert [verdicts[key][0] for key in "ab"] == ["unreadable_image", "image_blank"]


def test_a_link_is_no_picture(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)
    assert pixels.judge_shard(tmp_path / "0.tar", {"a"}, LIMITS)["a"][0] == "unreadable_image"
