"""Fingerprints of large local inputs, remembered by names, sizes and times of change.

A list of a billion URLs was read whole at every submission, 40 minutes of a network volume for one hash. What
is in object storage has its hash from the server (infra/object_store.py).
"""

import os
import time
from pathlib import Path

from infra.store import fingerprint, identity, read_whole, write_json

FILE = ".hashes.json"
# Hashing less takes no time worth a file.
MIN_BYTES = 64_000_000
# A file may change twice within one tick of a file system's clock.
MIN_AGE_SECONDS = 2.0


def known_fingerprint(path: Path, memory: Path) -> str:
    """As `infra.store.fingerprint`; what is large is read once, if the folder `memory` can be written.

    A change that leaves name, size, time and inode of each file as they were is not seen.
    """
    files = [(file, file.stat()) for file in _files(path)]
    is_settled = all(time.time() - stat.st_mtime > MIN_AGE_SECONDS for _, stat in files)
    if sum(stat.st_size for _, stat in files) < MIN_BYTES or not is_settled or not os.access(memory, os.W_OK):
        return fingerprint(path)
    stamps = [[os.fsdecode(file), s.st_size, s.st_mtime_ns, s.st_ino] for file, s in files]
    key, stamp = identity(str(path)), identity(stamps)
    known = (read_whole(memory / FILE) or {}) if (memory / FILE).exists() else {}
    if known.get(key, {}).get("stamp") != stamp:
        known[key] = {"stamp": stamp, "fingerprint": fingerprint(path)}
        write_json(memory / FILE, known)
    return known[key]["fingerprint"]


def _files(path: Path) -> list[Path]:
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
