"""Places named by content: where a step writes, found again when nothing that matters has changed.

A place is `<root>/<step>/<identity>`. The identity is a hash of the step's values, its code version and
the places it reads, so a retry resumes in its own folder, a finished step is not run again, and a changed
value, input or line of code gets a new folder. A place is finished once `done.json` is in it.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from infra.console import say
from infra.text_lines import read_lines

DONE = "done.json"
# The folder of rows that a step dropped, to look at.
SAMPLES = "samples"


def plain(value: Any) -> Any:
    """`value` as JSON has it, whole floats as integers (KFP turns every number in a dict to float)."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def identity(*parts: Any) -> str:
    """32 hex digits (128 bits) that name these JSON-like values."""
    text = json.dumps([plain(part) for part in parts], sort_keys=True, ensure_ascii=False)
    # Names of files may hold what is no character.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def fingerprint(path: Path) -> str:
    """A hash of a file's content, or of the names and contents below a folder."""
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(path)) + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]


def write_json(path: Any, value: Any) -> None:
    """Write JSON, at a `Path` or a `StoragePath`, so that a reader never sees half of it."""
    if not isinstance(path, Path):
        path.write_bytes(json_bytes(value, indent=1))
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_synced(partial, json_bytes(value, indent=1))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file through to the disk: else a power cut may leave its name without its content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def json_bytes(value: Any, **options: Any) -> bytes:
    """A value as UTF-8 JSON, whatever is in its texts: half a character becomes JSON's own escape for it."""
    return json.dumps(value, ensure_ascii=False, **options).encode("utf-8", "backslashreplace")


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    return json.loads(path.read_text())


def read_done(place: Path) -> dict | None:
    """The record of a finished place, or None, also where a power cut has emptied it, which is told."""
    return read_whole(place / DONE) if (place / DONE).exists() else None


def read_whole(path: Path) -> dict | None:
    """The record in a JSON file; None, with a word about it, where it is empty or cut off."""
    try:
        record = read_json(path)
    except ValueError:
        record = None
    if isinstance(record, dict):
        return record
    say("store", f"{path} is empty or cut off, as a power cut leaves a file; it is made anew")
    return None


def read_lines_of_json(path: Path) -> list[Any]:
    """The values of a file with one a line, without one that a full disk or a power cut has torn."""
    values = []
    for line in read_lines(path):
        with contextlib.suppress(ValueError):
            values.append(json.loads(line))
    return values
