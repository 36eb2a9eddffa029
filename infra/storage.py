"""One way to files, in a folder or in object storage: `pathlib.Path` or `StoragePath`.

Steps and the workers of engines get either and do not ask which. A `StoragePath` has as much of pathlib's
interface as dcclip uses, reads and writes objects where they lie, and travels between processes as a few
strings. It is no `os.PathLike` on purpose: code that needs a file on a disk fails at once.

The endpoint is AWS_ENDPOINT_URL_S3's, credentials are where boto3 and pyarrow look for them (environment,
profile, the pod's role): `environment()` is what workers on other machines have to be given.

A finished result names its files in its record (infra/places.py), by the address of each: those of an
earlier attempt or version are read where they are.
"""

import contextlib
import functools
import io
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, BinaryIO

from infra import object_store
from infra.object_parts import not_there, size_of
from infra.object_store import SCHEME, WILDCARDS, is_object
from infra.object_streams import ObjectWriter, RangeReader, SequentialReader
from infra.store import DONE

BUFFER_BYTES = 256 * 2**10
ENDPOINT = "AWS_ENDPOINT_URL_S3"


def endpoint() -> str:
    """Where the S3 server is, empty for AWS."""
    return os.environ.get(ENDPOINT, "")


def environment() -> dict[str, str]:
    """What an engine's workers need in theirs to find the store; their credentials are their pods' own."""
    return {ENDPOINT: endpoint()} if endpoint() else {}


@dataclass(frozen=True)
class StoragePath:
    """A path in object storage: `relative` below `root`.

    `manifest` is the address of a JSON object whose `files` say where names below the root are, when that is
    elsewhere; empty where there is none.
    """

    root: str
    relative: str = ""
    manifest: str = ""

    def __truediv__(self, name: object) -> "StoragePath":
        return replace(self, relative=f"{self.relative}/{name}".lstrip("/"))

    def __str__(self) -> str:
        return f"{self.root}/{self.relative}".rstrip("/")

    @property
    def url(self) -> str:
        """Where the object is."""
        if self.relative == DONE and self.manifest:
            return self.manifest
        known = self._known.get(self.relative)
        return known.url if known else str(self)

    @property
    def _known(self) -> dict[str, "StoredFile"]:
        return files_named(self.manifest) if self.manifest else {}

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(str(self)).name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> "StoragePath":
        """What it lies in, not above the root."""
        return replace(self, relative=self.relative.rpartition("/")[0])

    def with_name(self, name: str) -> "StoragePath":
        """A path beside this one."""
        return self.parent / name

    def stat(self) -> SimpleNamespace:
        """`st_size`.

        Raises:
            FileNotFoundError: there is no such object.
        """
        known = self._known.get(self.relative)
        return SimpleNamespace(st_size=known.num_bytes if known else size_of(self.url, endpoint()))

    def is_file(self) -> bool:
        """Whether there is such an object."""
        if self.relative in self._known:
            return True
        with contextlib.suppress(FileNotFoundError):
            return size_of(self.url, endpoint()) >= 0
        return False

    def exists(self) -> bool:
        """Whether there is such an object, or one below it."""
        below = f"{self.relative}/"
        if any(name.startswith(below) for name in self._known) or self.is_file():
            return True
        return object_store.has_items(f"{self}/", endpoint())

    def open(self, mode: str = "rb", *, sequential: bool = True) -> BinaryIO:
        """A file, to be read from front to back with read-ahead, or range by range; or to be written.

        What is written appears when it is closed without an error.

        Raises:
            FileNotFoundError: there is no such object to read.
        """
        if mode == "wb":
            return ObjectWriter(str(self), endpoint())
        if mode != "rb":
            raise ValueError(f"an object is opened as rb or wb, not as {mode}")
        if not sequential:
            return RangeReader(self.url, endpoint())
        # Archives are read in pieces of 512 bytes.
        return io.BufferedReader(SequentialReader(self.url, endpoint()), BUFFER_BYTES)

    def read_bytes(self) -> bytes:
        """All of it.

        Raises:
            FileNotFoundError: there is no such object.
        """
        content = object_store.read_bytes(self.url, endpoint())
        if content is None:
            raise not_there(self.url)
        return content

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Make it this content, at once."""
        object_store.write_bytes(str(self), content, endpoint())

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Make it this text, at once."""
        self.write_bytes(text.encode(encoding))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it; that it is not there is no error in object storage."""
        object_store.remove_one(str(self), endpoint())

    def mkdir(self, **_: Any) -> None:
        """Nothing is to be done: object storage has no folders."""

    def sizes(self) -> dict[str, int]:
        """Bytes of all files below, by their names relative to this path; the manifest spares the listing."""
        below = f"{self.relative}/".lstrip("/")
        if self.manifest.endswith(f"/{DONE}") and self._known:
            found = {name: file.num_bytes for name, file in self._known.items()}
        else:
            items = object_store.list_folder(str(self), endpoint())
            found = {below + item.name: item.num_bytes for item in items}
            found |= {name: file.num_bytes for name, file in self._known.items() if name not in found}
        return {name[len(below) :]: found[name] for name in sorted(found) if name.startswith(below)}

    def glob(self, pattern: str) -> Iterator["StoragePath"]:
        """Files below that fit a pattern level by level, in order of their names."""
        levels = pattern.split("/")
        fixed = list(itertools.takewhile(lambda level: not set(level) & set(WILDCARDS), levels))
        start, rest = self, levels[len(fixed) :]
        for level in fixed:
            start = start / level
        for name in start.sizes():
            found = name.split("/")
            if len(found) == len(rest) and all(map(fnmatchcase, found, rest)):
                yield start / name


AnyPath = Path | StoragePath


@dataclass(frozen=True)
class StoredFile:
    """Where a file of a result is."""

    url: str
    num_bytes: int


@functools.lru_cache(maxsize=64)
def files_named(manifest: str) -> dict[str, StoredFile]:
    """The files that a manifest names; it is written once, so it is read once a process."""
    record = object_store.read_json(manifest, endpoint()) or {}
    return {
        name: StoredFile(f"{prefix}/{name}", num_bytes)
        for prefix, files in record.get("files", {}).items()
        for name, num_bytes in files.items()
    }


def any_path(address: str) -> AnyPath:
    """The path that an address names."""
    return StoragePath(address.rstrip("/")) if is_object(address) else Path(address)


def pack(path: AnyPath | None) -> str:
    """A path as text, for engines whose rows hold no objects; None is empty."""
    return json.dumps(asdict(path)) if isinstance(path, StoragePath) else str(path or "")


def unpack(text: str) -> AnyPath | None:
    """The path that `pack` made a text of."""
    if text.startswith("{"):
        return StoragePath(**json.loads(text))
    return Path(text) if text else None


@contextlib.contextmanager
def appearing(path: AnyPath) -> Iterator[BinaryIO]:
    """A file to write, which is there under its name when the body has ended, and not at all if it fails."""
    if isinstance(path, StoragePath):
        with path.open("wb") as file:
            yield file
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def saved(path: AnyPath) -> Iterator[Path]:
    """A folder, not made yet, for a library that writes files; what is in it then stands below the path."""
    if not isinstance(path, StoragePath):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dcclip-") as name:
        folder = Path(name, path.name)
        yield folder
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                _copy(file, path / file.relative_to(folder).as_posix())


@contextlib.contextmanager
def copied(path: AnyPath) -> Iterator[Path]:
    """A small folder on this machine, for a library that reads files: a tokenizer, a student."""
    if not isinstance(path, StoragePath):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dcclip-") as name:
        for file in path.sizes():
            target = Path(name, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path / file, target)
        yield Path(name)


def _copy(source: AnyPath, target: AnyPath) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        shutil.copyfileobj(read, write, BUFFER_BYTES)


class StoredLines:
    """A small file of lines in object storage that grows; each flush writes it anew."""

    def __init__(self, path: StoragePath):
        self._path = path
        content = path.read_text() if path.is_file() else ""
        self._lines = [content[: content.rfind("\n") + 1]]

    def write(self, text: str) -> None:
        """Add text."""
        self._lines.append(text)

    def flush(self) -> None:
        """Let readers see it."""
        self._path.write_text("".join(self._lines))

    def close(self) -> None:
        """Nothing is left to be done after a flush."""


def open_ranges(path: AnyPath) -> BinaryIO:
    """A file of which only parts are read, as parquet is: in object storage only those are fetched."""
    return path.open("rb", sequential=False) if isinstance(path, StoragePath) else path.open("rb")


def parquet_file(path: AnyPath) -> Any:
    """What pyarrow reads a parquet file from: in object storage only the ranges that it asks for."""
    return open_ranges(path) if isinstance(path, StoragePath) else path


def dataset(path: AnyPath) -> Any:
    """A parquet file, or a folder of them, as a pyarrow data set."""
    import pyarrow.dataset as ds

    if not isinstance(path, StoragePath):
        return ds.dataset(path, format="parquet")
    names = [name for name in path.sizes() if not PurePosixPath(name).name.startswith((".", "_"))]
    files = [(path / name).url for name in names] or [path.url]
    return ds.dataset([url.removeprefix(SCHEME) for url in files], filesystem=arrow(), format="parquet")


@functools.cache
def _arrow(address: str, region: str | None) -> Any:
    from pyarrow.fs import S3FileSystem

    scheme, _, host = address.rpartition("://")
    where = {"endpoint_override": host, "scheme": scheme or "https"} if address else {}
    return S3FileSystem(region=region, **where)


def arrow() -> Any:
    """The store as pyarrow's file system, for what engines read by themselves."""
    return _arrow(endpoint(), object_store.client_at(endpoint()).meta.region_name)


def read_table(path: AnyPath, columns: list[str] | None = None, only: tuple[str, str] | None = None) -> Any:
    """A parquet file's rows, or a folder's; `only` is a column and the value that it must have."""
    import pyarrow.parquet as pq
    from pyarrow import compute as pc

    if not isinstance(path, StoragePath):
        return pq.read_table(path, columns=columns, filters=[(only[0], "=", only[1])] if only else None)
    return dataset(path).to_table(columns=columns, filter=pc.field(only[0]) == only[1] if only else None)
