"""The folder's pictures: which are taken, what is kept of them, what is found."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from toy_training import picture

from tests.odd_images import encoded
from training.serve.index import build_index, load
from training.serve.pictures import list_pictures, read_picture, thumbnail
from training.served_model import RowError

NAMES = ["below/white.png", "black.png", "blue.png", "green.png", "red.png", "yellow.png"]


@pytest.fixture
def build(pictures, toy_model):
    """Builds the folder's index anew."""
    return lambda **change: build_index(
        list_pictures(pictures, 100), replace(toy_model.model(), **change), quiet=True
    )


def test_pictures_are_listed_and_what_leads_outside_is_not(pictures):
    listing = list_pictures(pictures, 100)
    assert [item.path for item in listing.pictures] == sorted([*NAMES, "broken.jpg"])
    assert listing.skipped == {"leads_outside": 1, "cannot_be_read": 1, "no_file": 1, "linked_folder": 1}


def test_what_cannot_be_shown_is_counted(tmp_path, monkeypatch):
    for name in ("a.HEIC", "b.heif", "c.jxl", "d.svg", "e.dng", "notes.txt", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "shown.avif").write_bytes(encoded(Image.new("RGB", (8, 8), "red"), "AVIF"))
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "open" / "again").symlink_to(tmp_path / "closed")
    real = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = list_pictures(tmp_path, 100)
    assert listing.skipped == {"other_format": 5, "linked_folder": 2, "folder_cannot_be_read": 1}
    assert [item.path for item in listing.pictures] == ["shown.avif"]
    assert read_picture(tmp_path.resolve(), "shown.avif").getpixel((4, 4))[0] > 240


def test_a_name_that_is_not_utf8_is_passed_over_and_counted(pictures, build):
    """It answered every search with 500."""
    for name in ("柠檬.png", "红/a.png"):
        file = pictures / os.fsdecode(name.encode("gbk"))
        file.parent.mkdir(exist_ok=True)
        picture("red").save(file)
    index = build()
    assert index.skipped["name_not_utf8"] == 2
    assert [item.path for item in index.pictures] == NAMES


def test_no_more_are_listed_than_allowed(pictures):
    listing = list_pictures(pictures, 3)
    assert len(listing.pictures) == 3
    assert listing.skipped["too_many"] == 4


def test_a_link_inside_the_folder_is_a_picture(pictures):
    (pictures / "again.png").symlink_to(pictures / "red.png")
    assert "again.png" in [item.path for item in list_pictures(pictures, 100).pictures]


@pytest.mark.parametrize("path", ["../secret.png", "out.png", "below/../../secret.png", "outside/secret.png"])
def test_a_path_that_leads_outside_is_not_opened(pictures, path):
    with pytest.raises(RowError, match="leads_outside"):
        read_picture(pictures.resolve(), path)


def test_a_picture_replaced_by_a_link_is_not_opened(pictures, tmp_path, build):
    index = build()
    (pictures / "red.png").unlink()
    (pictures / "red.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(RowError, match="leads_outside"):
        thumbnail(index.root, "red.png")


def test_words_of_both_languages_find_the_nearest_first(build, toy_model):
    index = build()
    assert [item.path for item in index.pictures] == NAMES
    assert index.skipped["unreadable"] == 1
    for text in ("red", "红"):
        (vector,) = toy_model.embed_texts([text])
        found = index.search(vector, 3)
        assert index.pictures[found[0][0]].path == "red.png"
        assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
        assert len(index.search(vector, 100)) == len(NAMES)


def test_vectors_are_computed_once(build, toy_model, pictures):
    first = build()
    assert toy_model.embedded == 6
    again = build()
    assert toy_model.embedded == 6
    assert np.array_equal(first.vectors, again.vectors)
    picture("green", (60, 60)).save(pictures / "red.png")
    (pictures / "blue.png").unlink()
    picture("blue").save(pictures / "new.png")
    changed = build()
    assert toy_model.embedded == 8
    assert [item.path for item in changed.pictures] == [
        *NAMES[:2],
        "green.png",
        "new.png",
        "red.png",
        "yellow.png",
    ]
    assert np.array_equal(changed.vectors[4], changed.vectors[2])


def test_another_model_has_vectors_of_its_own(build, toy_model):
    build()
    build(content="another")
    assert toy_model.embedded == 12


def kept_file(cache):
    (file,) = (cache / "dcclip" / "vectors").iterdir()
    return file


def test_what_is_kept_is_numbers_and_names(build, cache):
    index = build()
    found = load(kept_file(cache), index.vectors.shape[1])
    assert sorted(item.path for item in found) == NAMES


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-5]),
        lambda file: file.write_bytes(b"no tensors"),
        lambda file: file.write_bytes(b""),
        lambda file: save_file({"vectors": np.zeros((2, 3), np.float32)}, file, {"pictures": "[]"}),
        lambda file: save_file({"vectors": np.zeros((0, 3), np.float32)}, file),
        lambda file: save_file({"others": np.zeros((0, 3), np.float32)}, file, {"pictures": "{}"}),
        lambda file: save_file({"vectors": np.zeros((1, 16))}, file, {"pictures": json.dumps([["a", 1, 2]])}),
    ],
    ids=["cut_off", "text", "empty", "another_shape", "no_names", "no_vectors", "another_type"],
)
def test_a_broken_cache_is_made_again(build, cache, toy_model, spoil):
    build()
    spoil(kept_file(cache))
    assert len(build().pictures) == 6
    assert toy_model.embedded == 12


def test_an_empty_folder_is_an_empty_index(tmp_path, toy_model):
    (tmp_path / "empty").mkdir()
    index = build_index(list_pictures(tmp_path / "empty", 100), toy_model.model(), quiet=True)
    assert index.vectors.shape == (0, 16)
    assert index.search(np.ones(16, np.float32), 5) == []


def test_a_thumbnail_is_small_and_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (900, 600), "red").save(tmp_path / "photo.jpg", exif=turned)
    (tmp_path / "thumb.jpg").write_bytes(thumbnail(tmp_path.resolve(), "photo.jpg"))
    with Image.open(tmp_path / "thumb.jpg") as small:
        assert small.size == (171, 256)
