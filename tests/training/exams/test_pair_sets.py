"""Retrieval sets: captions in every form, words for several pictures, figures of who knows the answers."""

import json

import pytest
from toy_exams import write_tars
from toy_training import COLOURS, HAN, ToyTeacher, picture, png

from training.exams import pair_sets
from training.exams.folders import ExamError


def sample(colour: str, **captions: str) -> dict:
    return {
        "png": png(picture(colour)),
        **{name.replace("__", "."): text.encode() for name, text in captions.items()},
    }


def examine(folder, name="pairs", languages=("en", "zh"), **encoders) -> dict:
    return pair_sets.examine_pairs(
        folder, name, languages, encoders or {"toy": ToyTeacher()}, "evaluate_student"
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"zh.txt": "红\n红色\n\n".encode(), "en.txt": b"red"}, {"en": ["red"], "zh": ["红", "红色"]}),
        ({"txt": " 红 \n".encode()}, {"zh": ["红"]}),
        # A line ends at a line feed, not at what Python takes for one.
        ({"zh.txt": "红\u2028色\r\n绿\x0b\x85色".encode()}, {"zh": ["红\u2028色", "绿\x0b\x85色"]}),
        ({"txt": "红\x0c色\r红".encode("utf-8-sig")}, {"zh": ["红\x0c色\r红"]}),
        ({"json": json.dumps({"zh": ["红", 3, ""], "en": "red"}).encode()}, {"en": ["red"], "zh": ["红"]}),
        ({"json": json.dumps({"captions": {"zh": "红", "fr": "rouge"}}).encode()}, {"zh": ["红"]}),
        ({"json": json.dumps({"en": {"caption": ["red", "a red"]}}).encode()}, {"en": ["red", "a red"]}),
        ({"json": b"[1]"}, {}),
        ({"json": b'{"captions": "red"}'}, {}),
        ({}, {}),
    ],
)
def test_captions_in_every_form(content, found):
    assert pair_sets.captions_in({"__key__": "a", **content}, "zh") == found


def test_a_text_of_unknown_language_is_told():
    with pytest.raises(ExamError, match="sit one language"):
        pair_sets.captions_in({"__key__": "a", "txt": b"red"}, "")


@pytest.mark.parametrize(
    "content", [{"json": b"{"}, {"zh.txt": "红".encode("gbk")}, {"json": b"[" * 200_000}]
)
def test_captions_that_cannot_be_read_are_told(tmp_path, content):
    folder = write_tars(tmp_path / "set", [{"png": png(picture("red")), **content}])
    with pytest.raises(ExamError, match="s0000000"):
        examine(folder)


def test_who_knows_the_colours_finds_everything(tmp_path):
    samples = [
        sample(colour, en__txt=f"a {colour} picture", zh__txt=f"{HAN[colour]}色") for colour in COLOURS
    ]
    found = examine(write_tars(tmp_path / "set", samples))
    assert (found["num_images"], found["num_texts"]) == (6, {"en": 6, "zh": 6})
    assert found["figures"]["toy"]["en"]["figure"] == found["figures"]["toy"]["zh"]["mean_recall"] == 1.0


def test_the_same_picture_twice_is_a_tie(tmp_path):
    samples = [sample("red", txt="红"), sample("red", txt="红色"), sample("blue", txt="蓝")]
    found = examine(write_tars(tmp_path / "set", samples), "coco-cn")["figures"]["toy"]["zh"]
    assert found["text_to_image"]["r1"] == pytest.approx(1 / 3)
    assert found["text_to_image"]["r5"] == 1.0


def test_search_words_have_several_pictures(tmp_path):
    samples = [sample("red", txt="红"), sample("red", txt="红"), sample("blue", txt="蓝")]
    folder = write_tars(tmp_path / "set", samples)
    merged, apart = examine(folder, "MUGE"), examine(folder, "flickr30k-cn")
    assert (merged["num_texts"], apart["num_texts"]) == ({"zh": 2}, {"zh": 3})
    assert merged["figures"]["toy"]["zh"]["text_to_image"]["r1"] == 1.0
    assert apart["figures"]["toy"]["zh"]["text_to_image"]["r1"] == pytest.approx(1 / 3)


def test_pictures_without_captions_are_candidates(tmp_path):
    samples = [sample("red", en__txt="red"), sample("red"), {"png": b"x", "en.txt": b"blue"}]
    found = examine(write_tars(tmp_path / "set", samples))
    assert (found["num_images"], found["num_unreadable"], found["num_texts"]) == (2, 1, {"en": 1})
    assert found["figures"]["toy"]["en"]["text_to_image"]["r1"] == 0.0
    assert found["figures"]["toy"]["en"]["image_to_text"]["r1"] == 1.0


def test_the_only_language_is_that_of_plain_texts(tmp_path):
    folder = write_tars(tmp_path / "set", [sample("red", txt="red")])
    assert examine(folder, languages=("en",))["num_texts"] == {"en": 1}


def test_a_set_without_what_is_asked_is_told(tmp_path):
    folder = write_tars(tmp_path / "set", [sample("red", en__txt="red")])
    with pytest.raises(ExamError, match="caption in zh"):
        examine(folder, languages=("zh",))
    with pytest.raises(ExamError, match="no tars"):
        examine(tmp_path)
