"""Versions of a data set: a numbered log below the storage root, and decisions that are taken once.

    ROOT/datasets/NAME/versions/000001.json   which places a version is made of
    ROOT/datasets/NAME/decided/KEY.json       what the first run of these inputs began from

A file is created whole where there is none, and never changed. The latest version is the highest number, so
there is no pointer that could be half moved; two runs that publish at once get two numbers. A rerun finds
what was decided, whatever has been published since, and with it its places.

Left out on purpose: removing versions and the places that no version names any more.
"""

import contextlib
import os
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra import object_store
from infra.object_store import is_object
from infra.store import identity, json_bytes, read_whole, write_synced

SUFFIX = ".json"


@dataclass(frozen=True)
class Version:
    """A version: by step the place below the store (`STEP/IDENTITY`), the version it grew from, 0 for none.

    `facts` are counts for people.
    """

    number: int
    places: dict[str, str]
    base: int
    facts: dict
    published_at: str


@dataclass(frozen=True)
class Versions:
    """The log of one data set below a storage root."""

    root: str
    name: str
    endpoint: str = ""

    def _file(self, *parts: str) -> str:
        return "/".join((self.root.rstrip("/"), "datasets", self.name, *parts))

    def numbers(self) -> list[int]:
        """The versions there are, in order."""
        return sorted(int(name.removesuffix(SUFFIX)) for name in self._names())

    def _names(self) -> list[str]:
        folder = self._file("versions")
        if is_object(folder):
            return [item.name for item in object_store.list_folder(folder, self.endpoint)]
        return [file.name for file in Path(folder).glob(f"[0-9]*{SUFFIX}")]

    def read(self, number: int) -> Version | None:
        """A version, None where there is none of this number."""
        found = _read(self._file("versions", f"{number:06d}{SUFFIX}"), self.endpoint)
        return Version(**found) if found else None

    def latest(self) -> Version | None:
        """The version with the highest number; one whose file is empty or cut off is none."""
        return next(filter(None, map(self.read, reversed(self.numbers()))), None)

    def publish(self, places: dict[str, str], base: int, facts: dict) -> Version:
        """Make a version of these places, or find the one that is made of them."""
        while True:
            numbers = self.numbers()
            for number in reversed(numbers):
                if (found := self.read(number)) and found.places == places:
                    return found
            now = datetime.now(UTC).isoformat(timespec="seconds")
            version = Version(numbers[-1] + 1 if numbers else 1, places, base, facts, now)
            file = self._file("versions", f"{version.number:06d}{SUFFIX}")
            # Looked up again: not every server's conditional write holds against one in the same instant.
            if _write_new(file, asdict(version), self.endpoint) and self.read(version.number) == version:
                return version

    def decide(self, inputs: Any, choose: Callable[[], Any]) -> Any:
        """What was decided for these inputs: by whoever asked first, now by `choose` if nobody has."""
        file = self._file("decided", f"{identity(inputs)}{SUFFIX}")
        found = _read(file, self.endpoint)
        if found is None:
            _remove_broken(file)
            _write_new(file, {"decided": choose()}, self.endpoint)
            found = _read(file, self.endpoint)
        return found["decided"]


def _read(file: str, endpoint: str) -> Any:
    """The record in a JSON file, None where there is none, or none that is whole."""
    if is_object(file):
        return object_store.read_json(file, endpoint)
    with contextlib.suppress(FileNotFoundError):
        return read_whole(Path(file))
    return None


def _remove_broken(file: str) -> None:
    """Make way where a power cut has left a file without content; whole ones were found before."""
    path = Path(file)
    if not is_object(file) and path.exists() and read_whole(path) is None:
        path.unlink(missing_ok=True)


def _write_new(file: str, value: Any, endpoint: str) -> bool:
    """Create a JSON file, whole, unless it is there; says whether it was created."""
    if is_object(file):
        return object_store.write_new_json(file, value, endpoint)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    write_synced(partial, json_bytes(value, indent=1))
    try:
        # A link is made or refused at once; moving the file would put it over another's.
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True
