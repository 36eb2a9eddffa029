"""Data sets as folders: what is read, and what is refused with which words."""

import io

import numpy as np
import pytest
from PIL import Image
from toy_exams import colour_samples, npy, write_tars
from toy_training import COLOURS, RGB, picture, png

from training.exams import folders
from training.exams.folders import ExamError


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    picture("red").save(stream, kind)
    return stream.getvalue()


def test_tars_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = write_tars(tmp_path / "set", colour_samples(rounds=2), per_tar=1)
    assert len(list((folder / "test").glob("*.tar"))) == 12
    assert [label for _, label in folders.open_set(folder).samples()] == [0, 1, 2, 3, 4, 5] * 2


def test_a_set_is_read_anew_each_time(tmp_path):
    pictures = folders.open_set(write_tars(tmp_path / "set", colour_samples()))
    assert len(list(pictures.samples())) == len(list(pictures.samples())) == 12


def test_class_names_come_with_the_set(tmp_path):
    folder = write_tars(tmp_path / "set", colour_samples(), classnames="\n".join(COLOURS) + "\n")
    assert folders.open_set(folder).class_names == COLOURS
    assert folders.open_set(write_tars(tmp_path / "other", colour_samples())).class_names is None


@pytest.mark.parametrize(
    ("name", "kind"), [("webp", "WEBP"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG")]
)
def test_pictures_of_every_type(tmp_path, name, kind):
    folder = write_tars(tmp_path / "set", [{name: encoded(kind), "cls": b"0\n"}])
    ((content, label),) = folders.open_set(folder).samples()
    assert Image.open(io.BytesIO(content)).size == (40, 30)
    assert label == 0


def test_a_sample_without_a_picture_is_handed_on_as_such(tmp_path):
    folder = write_tars(tmp_path / "set", [{"cls": b"3"}])
    assert list(folders.open_set(folder).samples()) == [(None, 3)]


@pytest.mark.parametrize("kind", ["int64", "float32", "bool", "int8"])
def test_several_labels(tmp_path, kind):
    wanted = np.array([1, 0, 1]).astype(kind)
    folder = write_tars(tmp_path / "set", [{"png": png(picture("red")), "npy": npy(wanted)}])
    ((_, labels),) = folders.open_set(folder).samples()
    assert labels.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "content",
    [
        npy([{"a": 1}], allow_pickle=True),
        npy(["text"]),
        npy(np.zeros(3))[:-1],
        npy(np.zeros(2)).replace(b"(2,)", b"(999999999999,)"[:4]),
        b"not npy",
        b"",
    ],
)
def test_labels_that_are_no_numbers_are_refused(content):
    with pytest.raises(ExamError, match="labels"):
        folders.read_npy(content)


def test_a_header_that_promises_terabytes_is_refused():
    header = npy(np.zeros(2)).replace(b"(2,), }        ", b"(2000000000,),}")
    with pytest.raises(ExamError, match="labels"):
        folders.read_npy(header)


@pytest.mark.parametrize("text", [b"", b"-1", b"one", b"1.5", "①".encode()])
def test_a_class_number_is_a_number(tmp_path, text):
    folder = write_tars(tmp_path / "set", [{"png": b"", "cls": text}])
    with pytest.raises(ExamError, match="s0000000"):
        list(folders.open_set(folder).samples())


def test_a_missing_tar_is_noticed(tmp_path):
    folder = write_tars(tmp_path / "set", colour_samples(), per_tar=4)
    (folder / "test" / "1.tar").unlink()
    with pytest.raises(ExamError, match="2 of the 3"):
        folders.open_set(folder)


def test_a_broken_tar_is_noticed(tmp_path):
    folder = write_tars(tmp_path / "set", colour_samples())
    path = folder / "test" / "0.tar"
    path.write_bytes(path.read_bytes()[:3_000])
    with pytest.raises(ExamError, match="broken"):
        list(folders.open_set(folder).samples())


@pytest.mark.parametrize("split", ["test", ""])
def test_pictures_in_folders(tmp_path, split):
    for colour in ("red", "blue"):
        (tmp_path / split / colour).mkdir(parents=True)
        picture(colour).save(tmp_path / split / colour / "a.PNG")
        (tmp_path / split / colour / "notes.txt").write_text("no picture")
    pictures = folders.open_set(tmp_path)
    assert pictures.class_names == ("blue", "red")
    found = [
        (Image.open(io.BytesIO(content)).getpixel((0, 0)), label) for content, label in pictures.samples()
    ]
    assert found == [(RGB["blue"], 0), (RGB["red"], 1)]


def test_folders_may_be_named_in_a_file(tmp_path):
    for name in ("n01", "n02"):
        (tmp_path / "test" / name).mkdir(parents=True)
    (tmp_path / "classnames.txt").write_text("tench\ngoldfish\n")
    assert folders.open_set(tmp_path).class_names == ("tench", "goldfish")
    (tmp_path / "classnames.txt").write_text("tench\n")
    with pytest.raises(ExamError, match="2 class folders"):
        folders.open_set(tmp_path)


def test_an_empty_folder_is_no_set(tmp_path):
    with pytest.raises(ExamError, match="neither tars nor"):
        folders.open_set(tmp_path)


def test_an_empty_line_among_names_is_told(tmp_path):
    (tmp_path / "names.txt").write_text("a\n\nb\n\n")
    with pytest.raises(ExamError, match="line 2"):
        folders.read_names(tmp_path / "names.txt")


def test_templates_of_either_kind(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("\ufeffa photo of {}.\n\n{c} 的照片\n", encoding="utf-8")
    assert folders.read_templates(path) == ("a photo of {c}.", "{c} 的照片")
    assert folders.read_templates(tmp_path / "none.txt") is None
    for text in ("no place for it", ""):
        path.write_text(text)
        with pytest.raises(ExamError, match=r"\{c\}"):
            folders.read_templates(path)


def test_text_in_another_encoding_is_told(tmp_path):
    (tmp_path / "names.txt").write_bytes("柠檬".encode("gbk"))
    with pytest.raises(ExamError, match="UTF-8"):
        folders.read_names(tmp_path / "names.txt")
