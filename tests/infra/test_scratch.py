"""The scratch folder: the longest unused goes first, what is in use stays, and a full disk is named."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from infra.object_store import StoreError
from infra.scratch import held, make_room, scratch_folder, scratch_root

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch) -> Path:
    """A scratch folder of one test."""
    monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "scratch"))
    return scratch_root()


def copy_of(name: str, used: float, num_bytes: int = 600) -> Path:
    """A copy that was last used so many seconds after the epoch."""
    folder = scratch_folder("places", "s3://bucket/store", name)
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(bytes(num_bytes))
    with held(folder, alone=False):
        pass
    lock = next(path for path in (scratch_root() / "locks").iterdir() if path.name.endswith(name))
    os.utime(lock, (used, used))
    return folder


def test_there_is_room_until_the_limit(monkeypatch):
    old, new = copy_of("old", 1), copy_of("new", 2)
    make_room(1_000)
    assert old.exists() and new.exists()


def test_the_longest_unused_goes_first(monkeypatch):
    new, old = copy_of("new", 2), copy_of("old", 1)
    monkeypatch.setenv("DCCLIP_SCRATCH_GIB", str(1_500 / 2**30))
    make_room(500)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_is_in_use_stays(monkeypatch):
    new, old = copy_of("new", 2), copy_of("old", 1)
    monkeypatch.setenv("DCCLIP_SCRATCH_GIB", str(1_150 / 2**30))
    with held(old, alone=False):
        make_room(500)
    assert (old.exists(), new.exists()) == (True, False)


def test_the_limit_binds(monkeypatch):
    copy = copy_of("old", 1)
    monkeypatch.setenv("DCCLIP_SCRATCH_GIB", str(1_000 / 2**30))
    with pytest.raises(StoreError, match="are to be copied to .* DCCLIP_SCRATCH_GIB allows .*: raise it"):
        make_room(1_001)
    assert copy.exists()
    with held(copy, alone=False), pytest.raises(StoreError, match="where steps at work hold"):
        make_room(500)


def test_a_copy_under_way_stays(monkeypatch):
    folder = copy_of("new", 2)
    partial = folder.rename(folder.with_name("new.partial"))
    monkeypatch.setenv("DCCLIP_SCRATCH_GIB", str(1_000 / 2**30))
    with held(folder, alone=True):
        with pytest.raises(StoreError, match="where steps at work hold"):
            make_room(500)
        assert partial.exists()
    make_room(500)
    assert not partial.exists()


def test_a_full_disk_makes_room_too(monkeypatch):
    old = copy_of("old", 1)
    usage = iter([Usage(0, 0, 0), Usage(0, 0, 2**40)])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: next(usage))
    make_room(500)
    assert not old.exists()


def test_a_disk_that_is_too_small_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 2**30))
    with pytest.raises(StoreError, match="3.0 GiB are to be copied .* where 1.0 GiB are free; free some"):
        make_room(3 * 2**30)


def test_it_is_this_users_alone(monkeypatch, tmp_path):
    monkeypatch.delenv("DCCLIP_SCRATCH")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    root = scratch_root()
    assert root.parent == tmp_path
    assert root.stat().st_mode & 0o077 == 0


def test_a_folder_of_another_user_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("DCCLIP_SCRATCH")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    scratch_root()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    (tmp_path / f"dcclip-{uid}").rename(tmp_path / f"dcclip-{uid + 1}")
    with pytest.raises(StoreError, match="is another user's; name a folder of your own"):
        scratch_root()
