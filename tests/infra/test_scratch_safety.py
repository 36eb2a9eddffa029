"""Nothing but dcclip's own copies is ever deleted, whatever DCCLIP_SCRATCH points at."""

import os
from pathlib import Path

import pytest

from infra.object_store import StoreError
from infra.scratch import MARKER, make_room, scratch_folder, scratch_root


@pytest.fixture
def people(tmp_path, monkeypatch) -> Path:
    """A folder with other data, of the shape that copies have."""
    folder = tmp_path / "data"
    for name in ("photos/2024/summer", "places/berlin/2023"):
        (folder / name).mkdir(parents=True)
        (folder / name / "image.jpg").write_bytes(bytes(1_000))
    folder.chmod(0o755)
    monkeypatch.setenv("DCCLIP_SCRATCH", str(folder))
    monkeypatch.setenv("DCCLIP_SCRATCH_GIB", "0")
    return folder


def files_below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*.jpg")}


def test_other_data_are_never_deleted(people):
    before = files_below(people)
    copy = scratch_folder("places", "s3://bucket/store", "old")
    copy.mkdir(parents=True)
    (copy / "file").write_bytes(bytes(600))
    make_room(0)
    assert files_below(people) == before
    assert not copy.exists()
    assert scratch_root() == people / f"dcclip-{os.getuid()}"


@pytest.mark.parametrize("there", [False, True])
def test_an_empty_folder_is_taken_and_marked(tmp_path, monkeypatch, there):
    folder = tmp_path / "scratch"
    if there:
        (folder / "lost+found").mkdir(parents=True)
    monkeypatch.setenv("DCCLIP_SCRATCH", str(folder))
    assert scratch_root() == scratch_root() == folder
    assert (folder / MARKER).exists()
    (folder / "places").mkdir()
    assert scratch_root() == folder


def test_a_folder_that_others_write_to_gets_one_of_our_own_below(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("DCCLIP_SCRATCH", str(folder))
    root = scratch_root()
    assert root.parent == folder
    assert root.stat().st_mode & 0o077 == 0


def test_a_link_that_waits_in_the_temporary_folder_is_not_followed(people, tmp_path, monkeypatch):
    monkeypatch.delenv("DCCLIP_SCRATCH")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / f"dcclip-{os.getuid()}").symlink_to(people)
    with pytest.raises(StoreError, match="is a link; name a folder of your own in DCCLIP_SCRATCH"):
        scratch_root()


@pytest.mark.parametrize("level", ["places", "places/of", "places/of/old"])
def test_what_a_link_leads_to_is_not_deleted(people, tmp_path, monkeypatch, level):
    monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "scratch"))
    link = scratch_root() / level
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(people / "photos")
    before = files_below(people)
    make_room(0)
    assert files_below(people) == before


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_default_folder_that_others_write_to_is_refused(tmp_path, monkeypatch, mode):
    monkeypatch.delenv("DCCLIP_SCRATCH", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"dcclip-{os.getuid()}"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StoreError, match="can be written to by others"):
        scratch_root()


def test_a_file_in_the_way_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="no folder for copies can be made at .*file"):
        scratch_root()
