"""Files taken over from another place: links, and copies where there are none."""

import errno
import os

import pytest

from infra import links


def test_a_linked_file_is_the_same_file(tmp_path):
    source, target = tmp_path / "one", tmp_path / "two"
    source.write_text("content")
    target.write_text("what was there")
    links.link_file(source, target)
    assert os.path.samefile(source, target)


def test_linking_again_leaves_one_file_and_nothing_beside_it(tmp_path):
    source, target = tmp_path / "one", tmp_path / "two"
    source.write_text("content")
    for _ in range(2):
        links.link_file(source, target)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]


def test_where_there_are_no_links_it_is_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "two disks")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "one").write_text("content")
    links.link_file(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_text() == "content"
    assert not os.path.samefile(tmp_path / "one", tmp_path / "two")


def test_another_error_is_not_hidden(tmp_path):
    with pytest.raises(FileNotFoundError):
        links.link_file(tmp_path / "nothing", tmp_path / "two")


def test_a_folder_comes_without_its_record_and_what_is_hidden(tmp_path):
    for name in ("a/deep/file", "a/done.json", "a/deep/done.json", "a/.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b").mkdir()
    links.link_folder(tmp_path / "a", tmp_path / "b")
    found = [str(file.relative_to(tmp_path / "b")) for file in tmp_path.glob("b/**/*") if file.is_file()]
    assert sorted(found) == ["deep/done.json", "deep/file"]
