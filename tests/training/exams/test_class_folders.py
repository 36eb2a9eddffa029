"""Class folders as people bring them: which class each is, and what is left out, counted."""

import json
import os
from pathlib import Path

import pytest
from toy_training import COLOURS, HAN, ToyTeacher, picture

from training.exams.class_folders import match_folders
from training.exams.folders import ExamError, open_set
from training.exams.results import lines
from training.exams.settings import ExamSource, Labels
from training.exams.sitting import sit_exam

# Twelve classes, so that numbers sorted as text are in another order: 0, 1, 10, 11, 2.
NAMES = tuple(f"{colour} {kind}" for kind in ("one", "two") for colour in COLOURS)


def write_folders(home: Path, names, classnames=None) -> Path:
    """A folder for each name with an image of that class's colour."""
    for number, name in enumerate(names):
        (home / "test" / name).mkdir(parents=True)
        picture(COLOURS[number % 6]).save(home / "test" / name / "a.png")
    if classnames:
        (home / "classnames.txt").write_text("\n".join(classnames) + "\n")
    return home


def top1(home: Path, **options) -> float:
    source = ExamSource("classification", str(home), languages=("en",), **options)
    (result,) = sit_exam(source, {"toy": ToyTeacher()}, "evaluate_student")["sets"]
    return result["figures"]["toy"]["en"]["figure"]


def test_folders_that_are_numbers_are_the_lines_of_those_numbers(tmp_path):
    """ImageNetV2's shape."""
    home = write_folders(tmp_path / "set", map(str, range(12)), NAMES)
    assert [label for _, label in open_set(home).samples()] == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
    colours_only = write_folders(tmp_path / "six", map(str, range(6)), COLOURS)
    assert top1(colours_only) == 1.0


@pytest.mark.parametrize("width", [1, 4])
def test_twelve_numbers_with_the_names_from_a_folder_of_labels(tmp_path, width):
    names = tuple(
        f"{colour}" if at < 6 else f"nothing {at}" for at, colour in enumerate((*COLOURS, *COLOURS))
    )
    home = write_folders(tmp_path / "set", (f"{number:0{width}}" for number in range(12)))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "classnames.txt").write_text("\n".join(names))
    for number in range(6, 12):
        os.unlink(home / "test" / f"{number:0{width}}" / "a.png")
    assert top1(home, labels=Labels(str(tmp_path / "labels"))) == 1.0


def test_folders_are_matched_by_name_in_any_order(tmp_path):
    names = ("yellow", "white", "red", "green", "blue", "black")
    home = write_folders(tmp_path / "set", (name.upper() for name in COLOURS), names)
    assert top1(home) == 1.0


def test_digits_are_matched_as_names_first():
    assert match_folders(["0", "1", "2"], ("2", "1", "0")) == [2, 1, 0]
    assert match_folders(["C", "C++"], ("C++", "C")) == [1, 0]


def test_a_class_without_images_has_no_folder(tmp_path):
    home = write_folders(tmp_path / "set", ("red", "blue"), ("white", "blue", "red"))
    assert [label for _, label in open_set(home).samples()] == [1, 2]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        # Sorted they would fit by count, and be other classes.
        (("apple", "pear"), ("a fruit", "another")),
        (("red", "pear"), ("red", "blue")),
        # From 1, or twice the same, or beyond.
        (("1", "2"), ("a", "b")),
        (("1",), ("a", "b")),
        (("0", "00"), ("a", "b")),
        (("0", "7"), ("a", "b")),
        (("0", "b"), ("a", "b")),
        # One name, two folders.
        (("crane", "Crane"), ("crane", "lemon")),
        (("crane", "lemon"), ("crane", "crane")),
        # WordNet's numbers with a line too many.
        (("n01440764",), ("tench", "goldfish")),
    ],
)
def test_what_says_nothing_of_classes_is_refused_with_what_to_do(tmp_path, folders, names):
    home = write_folders(tmp_path / "set", folders, names)
    with pytest.raises(ExamError, match="rename the folders as the lines of classnames.txt, or by"):
        open_set(home)


def test_wordnets_numbers_are_in_imagenets_order(tmp_path):
    home = write_folders(tmp_path / "set", ("n01443537", "n01440764"), ("tench", "goldfish"))
    assert [label for _, label in open_set(home).samples()] == [0, 1]


def test_a_chinese_list_alone_does_not_say_what_english_folders_are(tmp_path):
    home = write_folders(tmp_path / "set", COLOURS)
    (home / "classnames_zh.txt").write_text("\n".join(HAN.values()))
    source = ExamSource("classification", str(home))
    (skipped,) = sit_exam(source, {"toy": ToyTeacher()}, "evaluate_student")["skipped"]
    assert "classnames.txt, a line a label" in skipped["reason"]


def test_chinese_folders_are_matched_with_a_chinese_list(tmp_path):
    home = write_folders(tmp_path / "set", (HAN[colour] for colour in COLOURS))
    (home / "classnames_zh.txt").write_text("\n".join(reversed(HAN.values())))
    (result,) = sit_exam(ExamSource("classification", str(home)), {"toy": ToyTeacher()}, "s")["sets"]
    assert {lang: found["figure"] for lang, found in result["figures"]["toy"].items()} == {"zh": 1.0}


def clutter(home: Path) -> None:
    """What is in the way in a folder that came as a zip from a Mac, a camera and a NAS."""
    home = home / "test"
    picture("red").save(home / "red" / "b.tif")
    picture("red").save(home / "red" / "b.BMP")
    (home / "red" / "more").mkdir()
    picture("red").save(home / "red" / "more" / "c.png")
    (home / "red" / "._a.png").write_bytes(b"\0\5\x16\7")
    (home / "red" / "Thumbs.db").write_bytes(b"x")
    (home / "red" / "notes.txt").write_text("x")
    (home / "red" / "gone.png").symlink_to(home / "nowhere")
    os.mkfifo(home / "red" / "pipe.png")
    for junk in ("__MACOSX/red", ".git", "@eaDir", "docs"):
        (home / junk).mkdir(parents=True)
    (home / "__MACOSX" / "red" / "._a.png").write_bytes(b"x")
    picture("red").save(home / "loose.jpg")


@pytest.mark.parametrize("classnames", [None, COLOURS])
def test_what_is_no_sample_is_counted_by_reason(tmp_path, classnames):
    home = write_folders(tmp_path / "set", COLOURS, classnames)
    clutter(home)
    pictures = open_set(home)
    assert set(pictures.class_names) == set(COLOURS)
    assert len(list(pictures.samples())) == 6
    wanted = {
        "other_image_format": 2,
        "nested_folder": 1,
        # Two files in the class folder; three folders beside it.
        "hidden_or_junk": 5,
        "no_image_file": 1,
        "cannot_be_read": 1,
        "no_regular_file": 1,
        "in_no_class_folder": 1,
    }
    wanted["folder_without_images"] = 1
    assert pictures.left_out == wanted


def test_a_class_whose_images_are_of_another_format_stays_a_class(tmp_path):
    home = write_folders(tmp_path / "set", ("red", "blue"))
    os.rename(home / "test" / "blue" / "a.png", home / "test" / "blue" / "a.tif")
    assert open_set(home).class_names == ("blue", "red")


def test_what_was_left_out_is_in_result_and_table(tmp_path):
    home = write_folders(tmp_path / "set", COLOURS)
    clutter(home)
    found = sit_exam(ExamSource("classification", str(home)), {"toy": ToyTeacher()}, "evaluate_student")
    assert found["sets"][0]["left_out"]["other_image_format"] == 2
    assert any("left out" in line and "2 other_image_format" in line for line in lines(found))


def gbk(text: str) -> str:
    """A name as Python has it of a file system whose names are GBK."""
    return os.fsdecode(text.encode("gbk"))


def test_a_class_folder_named_in_gbk_skips_its_set_with_a_reason(tmp_path):
    write_folders(tmp_path / "exam" / "good", COLOURS)
    write_folders(tmp_path / "exam" / "bad", ["red", gbk("柠檬")])
    found = sit_exam(ExamSource("classification", str(tmp_path / "exam")), {"toy": ToyTeacher()}, "s")
    assert [item["set"] for item in found["sets"]] == ["good"]
    assert "not UTF-8: rename it" in found["skipped"][0]["reason"]
    found["skipped"][0]["reason"].encode()


def test_a_set_named_in_gbk_is_skipped_with_a_reason_and_junk_is_no_set(tmp_path):
    for name in ("good", gbk("柠檬"), "__MACOSX"):
        write_folders(tmp_path / "exam" / name, COLOURS)
    found = sit_exam(ExamSource("classification", str(tmp_path / "exam")), {"toy": ToyTeacher()}, "s")
    assert [item["set"] for item in found["sets"]] == ["good"]
    (skipped,) = found["skipped"]
    assert "not UTF-8: rename it" in skipped["reason"]
    json.dumps(found, ensure_ascii=False).encode()


def test_a_file_named_in_gbk_is_read_like_any_other(tmp_path):
    home = write_folders(tmp_path / "set", COLOURS)
    os.rename(home / "test" / "red" / "a.png", home / "test" / "red" / gbk("柠檬.png"))
    assert top1(home) == 1.0
