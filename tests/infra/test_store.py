"""Identities, fingerprints and records: what changes a place's name, and what does not."""

import json
import os

import pytest

from infra.store import DONE, fingerprint, identity, plain, read_done, read_json, write_json


@pytest.mark.parametrize(
    "one, other",
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"steps": 5}, {"steps": 5.0}),
        ({"phases": [{"steps": 5, "rate": 0.5}]}, {"phases": ({"rate": 0.5, "steps": 5.0},)}),
        (None, None),
    ],
)
def test_same_values_have_one_identity(one, other):
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 5}, {"a": 5.5}),
        ({"a": 5}, {"a": "5"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "猫"}, {"a": "狗"}),
        ({"a": None}, {}),
    ],
)
def test_other_values_have_another_identity(one, other):
    assert identity(one) != identity(other)


def test_parts_are_told_apart():
    assert identity({"a": 1}, {"b": 2}) != identity({"b": 2}, {"a": 1})


def test_an_identity_is_a_file_name():
    assert len(identity({"a": "b/c"})) == 32
    assert identity({"a": "b/c"}).isalnum()


def test_plain_keeps_what_is_no_whole_float():
    values = {"a": 0.5, "b": True, "c": float("inf"), "d": None, "e": "1.0"}
    assert plain(values) == values
    assert plain({"a": (1.0, 2.5)}) == {"a": [1, 2.5]}


def test_fingerprint_of_a_file_is_of_its_content(tmp_path):
    one, same, other = tmp_path / "one.csv", tmp_path / "same.csv", tmp_path / "other.csv"
    for file, text in ((one, "猫"), (same, "猫"), (other, "狗")):
        file.write_text(text)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def folder_of(place, files: dict[str, str]):
    """A folder with these files."""
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize(
    "files, same",
    [
        ({"a.txt": "1", "below/b.txt": "2"}, True),
        ({"a.txt": "1", "below/b.txt": "3"}, False),
        ({"a.txt": "1", "below/c.txt": "2"}, False),
        ({"a.txt": "1", "b.txt": "2"}, False),
        ({"a.txt": "2", "below/b.txt": "1"}, False),
        ({"a.txt": "1"}, False),
    ],
)
def test_fingerprint_of_a_folder_is_of_names_and_contents(tmp_path, files, same):
    before = folder_of(tmp_path / "before", {"a.txt": "1", "below/b.txt": "2"})
    assert (fingerprint(folder_of(tmp_path / "after", files)) == fingerprint(before)) is same


def gbk(text: str) -> str:
    """A name as Python has it of a file system whose names are GBK."""
    return os.fsdecode(text.encode("gbk"))


def test_names_that_are_not_utf8_are_hashed_as_bytes(tmp_path):
    before = fingerprint(folder_of(tmp_path / "one", {gbk("柠檬.txt"): "1", f"{gbk('红')}/a.txt": "2"}))
    assert (
        fingerprint(folder_of(tmp_path / "same", {gbk("柠檬.txt"): "1", f"{gbk('红')}/a.txt": "2"})) == before
    )
    assert (
        fingerprint(folder_of(tmp_path / "other", {gbk("柠.txt"): "1", f"{gbk('红')}/a.txt": "2"})) != before
    )


@pytest.mark.parametrize("text", [gbk("柠檬"), "\ud83d", "a\udfffb", "柠檬"])
def test_no_text_breaks_identities_or_json(tmp_path, text):
    assert identity({"name": text}) != identity({"name": text + "x"})
    write_json(tmp_path / "facts.json", {text: [text]})
    assert read_json(tmp_path / "facts.json") == {text: [text]}


def test_write_json_leaves_only_the_file(tmp_path):
    write_json(tmp_path / "facts.json", {"captions": {"zh": 3}, "name": "猫"})
    write_json(tmp_path / "facts.json", {"captions": {"zh": 4}, "name": "猫"})
    assert [item.name for item in tmp_path.iterdir()] == ["facts.json"]
    assert read_json(tmp_path / "facts.json") == {"captions": {"zh": 4}, "name": "猫"}


def test_write_json_that_fails_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "facts.json", {"kept": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "facts.json", {"kept": object()})
    assert json.loads((tmp_path / "facts.json").read_text()) == {"kept": 1}


def test_read_done_is_none_until_the_record_is_there(tmp_path):
    assert read_done(tmp_path) is None
    write_json(tmp_path / DONE, {"seconds": 1.5})
    assert read_done(tmp_path) == {"seconds": 1.5}
