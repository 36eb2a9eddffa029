"""Files taken over from a finished place: hard links where the disk has them, copies elsewhere.

A link costs nothing and stays when the place it came from is removed. Nobody changes a file of a place; who
wants another content writes a new file and moves it there.
"""

import errno
import os
import shutil
from pathlib import Path

from infra.store import DONE

# Two disks, a disk without hard links, a file with as many as the disk allows.
NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)


def link_file(source: Path, target: Path) -> None:
    """Let `target` be the file `source`; it appears whole, in place of one that is there."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copyfile(source, partial)
    partial.replace(target)
    # Where both are links to one file already, moving one onto the other leaves both.
    partial.unlink(missing_ok=True)


def link_folder(source: Path, target: Path) -> None:
    """Take over the files of a place below their names, but for its record and what is hidden."""
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source)
        if file.is_file() and str(name) != DONE and not file.name.startswith("."):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            link_file(file, target / name)
