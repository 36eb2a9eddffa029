"""Remembered fingerprints: the same as fresh ones, read once, anew after a change."""

import os

import pytest

from infra import known_hashes
from infra.store import fingerprint


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """A folder of two files, an hour old and large."""
    monkeypatch.setattr(known_hashes, "MIN_BYTES", 2)
    folder = tmp_path / "lists"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(name)
        os.utime(folder / name, (1_000_000, 1_000_000))
    return folder


@pytest.fixture
def read(monkeypatch) -> list:
    """The paths that were read whole."""
    paths: list = []
    monkeypatch.setattr(known_hashes, "fingerprint", lambda path: paths.append(path) or fingerprint(path))
    return paths


def test_what_has_not_changed_is_read_once(lists, read, tmp_path):
    found = [
        known_hashes.known_fingerprint(path, tmp_path) for path in (lists, lists, lists / "a.csv", lists)
    ]
    assert found == [fingerprint(path) for path in (lists, lists, lists / "a.csv", lists)]
    assert read == [lists, lists / "a.csv"]


@pytest.mark.parametrize("change", ["time", "size", "file", "new"])
def test_what_has_changed_is_read_again(lists, read, tmp_path, change):
    known_hashes.known_fingerprint(lists, tmp_path)
    file, content, seconds = lists / "a.csv", "a.csv", 1_000_000
    if change == "time":
        content, seconds = "A.csv", 1_000_001
    if change == "size":
        content = "more"
    if change == "file":
        file.rename(tmp_path / "before")
        content = "c.csv"
    if change == "new":
        file = lists / "c.csv"
    file.write_text(content)
    os.utime(file, (seconds, seconds))
    assert known_hashes.known_fingerprint(lists, tmp_path) == fingerprint(lists)
    assert read == [lists, lists]


def test_a_file_that_is_being_written_is_not_remembered(lists, read, tmp_path):
    (lists / "a.csv").write_text("now")
    for _ in range(2):
        known_hashes.known_fingerprint(lists, tmp_path)
    assert read == [lists, lists]


def test_small_inputs_leave_no_file(tmp_path):
    (tmp_path / "a.csv").write_text("small")
    assert known_hashes.known_fingerprint(tmp_path / "a.csv", tmp_path) == fingerprint(tmp_path / "a.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_memory_that_was_cut_off_is_made_anew(lists, read, tmp_path):
    (tmp_path / known_hashes.FILE).write_text("{")
    for _ in range(2):
        assert known_hashes.known_fingerprint(lists, tmp_path) == fingerprint(lists)
    assert read == [lists]
