"""Local copies of what is in object storage: kept between steps, shared, made room for.

Folders lie below DCCLIP_SCRATCH (default: one below the system's temporary folder). Whoever reads one holds
its lock with others, whoever fills one holds it alone; a folder that nobody holds may go when room is
needed, the longest unused first, so that all together stay below DCCLIP_SCRATCH_GIB (default 200).
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.console import say
from infra.object_store import StoreError
from infra.store import identity

MIN_FREE_BYTES = 2**30
PARTIAL = ".partial"


def scratch_root() -> Path:
    """The folder of all copies, readable by this user alone."""
    default = Path(tempfile.gettempdir()) / f"dcclip-{os.getuid()}"
    root = Path(os.environ.get("DCCLIP_SCRATCH", default)).resolve()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root.stat().st_uid != os.getuid() and "DCCLIP_SCRATCH" not in os.environ:
        raise StoreError(f"{root} is another user's; name a folder of your own in DCCLIP_SCRATCH")
    return root


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
        StoreError: the disk is too small even so.
    """
    root = scratch_root()
    limit = float(os.environ.get("DCCLIP_SCRATCH_GIB", 200)) * 2**30
    folders = sorted(root.glob("[!l]*/*/*"), key=_last_used)
    sizes = {folder: folder_bytes(folder) for folder in folders}
    for folder in folders:
        kept = sum(sizes.values()) + num_bytes <= limit
        if kept and shutil.disk_usage(root).free >= num_bytes + MIN_FREE_BYTES:
            return
        if _remove_unheld(folder):
            sizes.pop(folder)
    free = shutil.disk_usage(root).free
    if free < num_bytes + MIN_FREE_BYTES:
        raise StoreError(
            f"{num_bytes / 2**30:.1f} GiB are to be copied to {root}, where {free / 2**30:.1f} GiB are free; "
            "free some, or name a larger disk in DCCLIP_SCRATCH"
        )


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
