"""Local copies of what is in object storage: kept between steps, shared, made room for.

Folders lie below DCCLIP_SCRATCH (default: one below the system's temporary folder), in a folder that dcclip
has marked as its own: nothing else is ever deleted. Whoever reads one holds its lock with others, whoever
fills one holds it alone; a folder that nobody holds may go when room is needed, the longest unused first, so
that all together stay below DCCLIP_SCRATCH_GIB (default 200). That is a bound: a copy that does not fit below
it is not made. What a step itself writes in its folder is not counted beforehand.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.console import say
from infra.object_store import StoreError
from infra.store import identity

MIN_FREE_BYTES = 2**30
PARTIAL = ".partial"
# Says that all in its folder is dcclip's, and may be deleted to make room.
MARKER = ".dcclip-scratch"
# What a new disk has.
EMPTY = {"lost+found"}
KINDS = ("places", "parts", "inputs")


def scratch_root() -> Path:
    """The folder of all copies: this user's own, and marked by dcclip, which deletes below it alone.

    The one that DCCLIP_SCRATCH names, unless that holds other data, is another user's or others can write to
    it: then a folder of our own below it.

    Raises:
        StoreError: there is no such folder, and none can be made.
    """
    own = f"dcclip-{os.getuid()}"
    named = os.environ.get("DCCLIP_SCRATCH")
    try:
        if not named:
            return _claim(Path(tempfile.gettempdir()) / own)
        root = Path(named).resolve()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _claim(root) if _may_claim(root) else _claim(root / own)
    except OSError as error:
        where = named or tempfile.gettempdir()
        raise StoreError(
            f"no folder for copies can be made at {where}: {error.strerror}; name another in DCCLIP_SCRATCH"
        ) from None


def _claim(folder: Path) -> Path:
    """The folder, made and marked as dcclip's own.

    Raises:
        StoreError: it is a link, another user's, open to others, or holds other data.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if reason := _reason_not_ours(folder):
        raise StoreError(f"{folder} {reason}; name a folder of your own in DCCLIP_SCRATCH")
    (folder / MARKER).touch(mode=0o600)
    return folder


def _may_claim(folder: Path) -> bool:
    return _reason_not_ours(folder) is None


def _reason_not_ours(folder: Path) -> str | None:
    """Why dcclip may not keep and delete copies in a folder, None where it may."""
    state = folder.lstat()
    if stat.S_ISLNK(state.st_mode):
        return "is a link"
    if not stat.S_ISDIR(state.st_mode):
        return "is no folder"
    if state.st_uid != os.getuid():
        return "is another user's"
    if state.st_mode & 0o022:
        return "can be written to by others"
    names = {item.name for item in folder.iterdir()}
    if MARKER not in names and names - EMPTY:
        return "holds other data"
    return None


def scratch_folder(kind: str, *parts: str) -> Path:
    """The folder for a copy; its last name is the last of `parts`, the rest keeps it apart from others."""
    *rest, name = parts
    return scratch_root() / kind / identity(*rest) / name


@contextlib.contextmanager
def held(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold a folder, with other readers or alone; waits for whoever holds it otherwise."""
    mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with _lock_file(folder).open("a") as lock:
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            say("scratch", f"waiting for another process that uses {folder}")
            fcntl.flock(lock, mode)
        os.utime(lock.name)
        try:
            yield
        finally:
            # Closing alone would leave it to processes that were forked meanwhile.
            fcntl.flock(lock, fcntl.LOCK_UN)


def _lock_file(folder: Path) -> Path:
    locks = scratch_root() / "locks"
    locks.mkdir(exist_ok=True)
    # A copy under way is its reader's to be.
    return locks / "-".join(folder.parts[-3:]).removesuffix(PARTIAL)


def make_room(num_bytes: int) -> None:
    """Remove what was longest unused until so many more bytes fit.

    Raises:
        StoreError: the disk is too small even so, or the bound is.
    """
    root = scratch_root()
    limit = float(os.environ.get("DCCLIP_SCRATCH_GIB", 200)) * 2**30
    if num_bytes > limit:
        raise StoreError(
            f"{num_bytes / 2**30:.2f} GiB are to be copied to {root}, and DCCLIP_SCRATCH_GIB allows "
            f"{limit / 2**30:.2f}: raise it, where the disk has the room"
        )
    folders = sorted(_copies(root), key=_last_used)
    sizes = {folder: folder_bytes(folder) for folder in folders}
    for folder in folders:
        if sum(sizes.values()) + num_bytes <= limit and _is_free(root, num_bytes):
            return
        if _remove_unheld(folder):
            sizes.pop(folder)
    if (in_use := sum(sizes.values())) + num_bytes > limit:
        raise StoreError(
            f"{num_bytes / 2**30:.2f} GiB are to be copied to {root}, where steps at work hold "
            f"{in_use / 2**30:.2f} of the {limit / 2**30:.2f} that DCCLIP_SCRATCH_GIB allows: raise "
            "it, or run fewer steps at once"
        )
    if not _is_free(root, num_bytes):
        free = shutil.disk_usage(root).free
        raise StoreError(
            f"{num_bytes / 2**30:.1f} GiB are to be copied to {root}, where {free / 2**30:.1f} GiB are free; "
            "free some, or name a larger disk in DCCLIP_SCRATCH"
        )


def _is_free(root: Path, num_bytes: int) -> bool:
    return shutil.disk_usage(root).free >= num_bytes + MIN_FREE_BYTES


def _copies(root: Path) -> Iterator[Path]:
    """The folders of copies below the root; never what a link leads to."""
    for kind in KINDS:
        for folder in (root / kind).glob("*/*"):
            if not any(item.is_symlink() for item in (folder, folder.parent, root / kind)):
                yield folder


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder that may be changing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(where, name)).st_size
    return total


def _last_used(folder: Path) -> float:
    lock = _lock_file(folder)
    return lock.stat().st_mtime if lock.exists() else 0.0


def _remove_unheld(folder: Path) -> bool:
    """Remove a folder that nobody holds; says whether it is gone."""
    with _lock_file(folder).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
    return True
