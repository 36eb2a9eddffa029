"""A user's own templates and class names: the layouts of other projects are read, everything else is told."""

import json
from pathlib import Path

import pytest

from training.elevater import own_prompts, read_class_names, read_templates


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: str | bytes | list | dict, name: str = "given.txt") -> Path:
        path = tmp_path / (name if isinstance(content, (str, bytes)) else "given.json")
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content, ensure_ascii=False)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def test_templates_from_a_text_file(write) -> None:
    path = write("\ufeffa photo of a {}.\r\n一张{}的照片。\r\n")
    assert read_templates(path, "food-101") == ("a photo of a {}.", "一张{}的照片。")


def test_templates_from_a_list_are_for_any_set(write) -> None:
    assert read_templates(write(["{}的图片"]), "mnist") == ("{}的图片",)


def test_templates_from_a_dict_are_those_of_the_set(write) -> None:
    path = write({"dtd": ["a {} texture"], "mnist": ["a {c}"]})
    assert read_templates(path, "dtd") == ("a {} texture",)
    assert read_templates(path, "mnist") == ("a {}",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"dtd": ["{}"]}, "no templates for 'gtsrb'; it has dtd"),
        (["a photo"], "needs one {} where the class name goes, not 'a photo'"),
        (["{} and {}"], "needs one {}"),
        (["{} {c.__class__}"], "needs one {}"),
        (["{:>999999999}"], "needs one {}"),
        (['lambda c: f"{c}的照片",'], "Python code.*README.md"),
        ([], "holds no templates"),
        ("", "holds no templates"),
        (["{}", " "], "templates number 2 is empty"),
        (["{}", 3], "no list of templates"),
        (3, "no list of templates"),
        ({"gtsrb": "{}"}, "no list of templates"),
        (["{}" + "x" * 500], "more than 500 characters"),
        (["{}"] * 1001, "1001 templates for 'gtsrb', more than 1000"),
        (b"\xff\xfe{}", "not text in UTF-8"),
    ],
)
def test_what_is_wrong_with_templates_is_told(write, content, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_templates(write(content), "gtsrb")


def test_json_that_is_none_is_told(write) -> None:
    for text in ("{", "[" * 100_000):
        with pytest.raises(ValueError, match="not JSON"):
            read_templates(write(text, "broken.json"), "gtsrb")


def test_python_files_are_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = tmp_path / "templates.py"
    path.write_text(f"open({str(ran)!r}, 'w')\ntemplates = [lambda c: f'{{c}}']\n")
    with pytest.raises(ValueError, match=r"Python file.*README\.md"):
        read_templates(path, "gtsrb")
    assert not ran.exists()


def test_a_huge_file_is_not_read_to_its_end(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_prompts, "MAX_FILE_BYTES", 100)
    with pytest.raises(ValueError, match="more than"):
        read_class_names(write("a\n" * 51), 51)


def test_class_names_from_text_and_json(write) -> None:
    assert read_class_names(write("猫\n狗 \n\n"), 2) == ("猫", "狗")
    assert read_class_names(write(["angry", ["happy", "smiling"]]), 2) == ("angry", "happy")


def test_a_name_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("red\u2028ish\r\nblue\n\n".encode("utf-8-sig"))
    assert own_prompts.read_class_names(tmp_path / "names.txt", 2) == ("red\u2028ish", "blue")
    (tmp_path / "names.txt").write_text("\nred\nblue\n")
    with pytest.raises(ValueError, match="class names number 1 is empty"):
        own_prompts.read_class_names(tmp_path / "names.txt", 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("猫\n", "has 1 class names, the set has 3 classes"),
        ("猫\n\n狗\n", "class names number 2 is empty"),
        ({"0": "猫"}, "no list of class names"),
        (["猫", [], "狗"], "no list of class names"),
    ],
)
def test_what_is_wrong_with_class_names_is_told(write, content, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_class_names(write(content), 3)
