"""A step's place, on a disk or in object storage: found done, copied for reading, opened for working.

On a disk the place is a folder and the step works in it. In object storage it is a prefix:

    PLACE/done.json            the record of the step, written last
    PLACE/ATTEMPT/...          the files of the attempt that the record names

A step works in a local folder. Whatever of it is finished is uploaded while the step works, below a prefix
that no other attempt writes to, so that two attempts at one place never mix: the first to write done.json
has made the place, and removes what earlier attempts left. A step that starts where an attempt was cut off
starts from what that one had uploaded.

An object is there whole or not at all, and it goes up after those that were finished before it: where a
shard's `_stats.json` is, the shard is, and where a training's snapshot is, its checkpoint is.
"""

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from infra import object_store
from infra.console import say
from infra.object_store import Item, StoreError, is_object
from infra.place_lock import alone_at
from infra.scratch import PARTIAL, folder_bytes, held, make_room, scratch_folder
from infra.storage import AnyPath, StoragePath, endpoint
from infra.store import DONE, read_done, write_json

SYNC_SECONDS = 20.0
# A file that has not changed for so long is taken for finished.
SETTLED_SECONDS = 10.0


def place_name(place: str) -> str:
    """A place's last name, the identity of what is in it."""
    return place.rstrip("/").rpartition("/")[2]


def files_url(place: str, record: dict) -> str:
    """Where the files of a finished place are, but for those that its record names elsewhere."""
    return f"{place}/{record['attempt']}" if "attempt" in record else place


def stored_path(place: str, endpoint: str) -> AnyPath:
    """The folder of a finished place, to be read where it lies.

    Raises:
        StoreError: it is not finished.
    """
    if not is_object(place):
        return Path(place)
    record = read_record(place, endpoint)
    if record is None:
        raise StoreError(f"{place} is not finished; run the step before again")
    return StoragePath(files_url(place, record), manifest=f"{place}/{DONE}")


@contextlib.contextmanager
def fetched(path: AnyPath | str, step: str, only: tuple[str, ...] | None = None) -> Iterator[Path]:
    """The folder of a finished place on this machine, for libraries that read files: models, Spark's records.

    `only` are patterns of the files that are needed, None for all.
    """
    if not isinstance(path, StoragePath):
        yield Path(path)
        return
    with local_copy(path.manifest.removesuffix(f"/{DONE}"), endpoint(), step, only) as folder:
        yield folder / path.relative


def known_path(files: str) -> AnyPath:
    """As `stored_path`, of an address that `files_url` gave."""
    if not is_object(files):
        return Path(files)
    return StoragePath(files, manifest=f"{files.rpartition('/')[0]}/{DONE}")


def read_record(place: str, endpoint: str) -> dict | None:
    """The record of a finished place, or None."""
    if is_object(place):
        return object_store.read_json(f"{place}/{DONE}", endpoint)
    return read_done(Path(place))


@contextlib.contextmanager
def local_copy(place: str, endpoint: str, step: str, only: tuple[str, ...] | None = None) -> Iterator[Path]:
    """The folder of a finished place, for reading; fetched once a machine when it is in object storage.

    Args:
        only: patterns of the files that are needed; None for all. The record is always there.
    """
    if not is_object(place):
        yield Path(place)
        return
    record = read_record(place, endpoint)
    if record is None:
        raise StoreError(f"{place} is not finished; run the step before again")
    folder = _copy_folder(place, endpoint, only)
    while True:
        with held(folder, alone=False):
            if read_done(folder) == record:
                yield folder
                return
        with held(folder, alone=True):
            if read_done(folder) != record:
                _fetch_place(place, record, folder, endpoint, step, only)


def _copy_folder(place: str, endpoint: str, only: tuple[str, ...] | None = None) -> Path:
    """Where this machine keeps a place."""
    kind = "places" if only is None else "parts"
    return scratch_folder(kind, endpoint, place, *(only or ()), place_name(place))


def _fetch_place(
    place: str, record: dict, folder: Path, endpoint: str, step: str, only: tuple[str, ...] | None
) -> None:
    """Fill the folder with the files that the record names, then with the record."""
    found = _stored_items(place, record, endpoint)
    if only is not None:
        found = {
            url: [item for item in items if any(fnmatch(item.name, pattern) for pattern in only)]
            for url, items in found.items()
        }
    _fetch_whole(found, folder, endpoint, step, record)


def _stored_items(place: str, record: dict, endpoint: str) -> dict[str, list[Item]]:
    """A finished place's objects by the address that they lie below; a record of old does not name them."""
    if "files" not in record:
        url = files_url(place, record)
        return {url: object_store.list_folder(url, endpoint)}
    return {
        url: [Item(name, num_bytes, "") for name, num_bytes in files.items()]
        for url, files in record["files"].items()
    }


def _fetch_whole(
    found: dict[str, list[Item]], folder: Path, endpoint: str, step: str, record: dict | None = None
) -> None:
    """Replace a folder with these objects, at once."""
    items = [item for below in found.values() for item in below]
    num_bytes = sum(item.num_bytes for item in items)
    make_room(num_bytes)
    say(step, f"copying {len(items)} files, {num_bytes / 2**20:,.1f} MiB, from {', '.join(found)}")
    partial = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for url, below in found.items():
        object_store.download(below, url, partial, endpoint, step)
    if record is not None:
        write_json(partial / DONE, record)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


@contextlib.contextmanager
def local_input(path: str, endpoint: str, step: str) -> Iterator[str]:
    """A local path of the same shape for a file, a folder or a pattern that may be in object storage."""
    if not is_object(path):
        yield path
        return
    url, items = object_store.find_inputs(path, endpoint)
    content = object_store.fingerprint_of(items)
    folder = scratch_folder("inputs", endpoint, url, content)
    while True:
        with held(folder, alone=False):
            if folder.exists():
                yield str(folder / path[len(url) + 1 :])
                return
        with held(folder, alone=True):
            if not folder.exists():
                _fetch_whole({url: items}, folder, endpoint, step)


@contextlib.contextmanager
def folder_alone(folder: Path, step: str) -> Iterator[tuple[Path, Callable[[dict], dict]]]:
    """As `working_folder`, of a place on a disk."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone_at(folder, step):
        yield folder, lambda record: write_json(folder / DONE, record) or record


@contextlib.contextmanager
def working_folder(place: str, endpoint: str, step: str) -> Iterator[tuple[Path, Callable[[dict], dict]]]:
    """(folder to work in, function that takes the record and finishes the place) while the body runs.

    The function returns the record as it stands at the place: another attempt's, when that was first.
    """
    if not is_object(place):
        with folder_alone(Path(place), step) as working:
            yield working
        return
    folder = _copy_folder(place, endpoint)
    with held(folder, alone=True):
        attempt = Attempt(place, folder, endpoint, step)
        attempt.restore()
        with attempt.uploading():
            yield folder, attempt.finish


class Attempt:
    """One try at a place in object storage: its folder here, its prefix there, what is up already."""

    def __init__(self, place: str, folder: Path, endpoint: str, step: str):
        self.place, self.folder, self.endpoint, self.step = place, folder, endpoint, step
        self.name = new_attempt()
        self.uploaded: dict[str, tuple[int, int]] = {}
        self.earlier: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._upload_now_and_then, daemon=True)

    @property
    def url(self) -> str:
        """The prefix that only this attempt writes to."""
        return f"{self.place}/{self.name}"

    def restore(self) -> None:
        """Begin with what an earlier attempt left: in this folder, or, when that is more, at the place.

        An attempt that was itself restored has more than the one before it only once all of that is up.
        """
        sizes = self._find_earlier()
        best = max(sizes, key=sizes.__getitem__, default=None)
        if best and sizes[best] > folder_bytes(self.folder):
            url = f"{self.place}/{best}"
            say(self.step, "an earlier attempt was cut off; going on from what it had stored")
            items = object_store.list_folder(url, self.endpoint)
            _fetch_whole({url: items}, self.folder, self.endpoint, self.step)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / DONE).unlink(missing_ok=True)

    def _find_earlier(self) -> dict[str, int]:
        """Bytes stored by each earlier attempt; remembers them and those that have only begun an upload."""
        found = find_attempts(self.place, self.endpoint)
        self.earlier = set(found)
        return {attempt: sum(files.values()) for attempt, files in found.items() if files}

    @contextlib.contextmanager
    def uploading(self) -> Iterator[None]:
        """Upload what is finished while the body runs, and once more when it fails."""
        self._thread.start()
        try:
            yield
        except Exception:
            self._halt()
            self._try_upload()
            raise
        finally:
            self._halt()

    def _halt(self) -> None:
        """No more uploads beside the step; waits for the one under way."""
        self._stop.set()
        self._thread.join()

    def _upload_now_and_then(self) -> None:
        while not self._stop.wait(SYNC_SECONDS):
            self._try_upload()

    def _try_upload(self) -> None:
        """One pass; what fails now is tried again later, at the latest by `finish`."""
        try:
            self.upload_settled()
        except (StoreError, OSError) as error:
            say(self.step, f"could not store what is finished so far, will try again: {error}")

    def upload_settled(self) -> None:
        """Upload files that no longer change, the oldest first, each after those before it."""
        newest = (time.time() - SETTLED_SECONDS) * 1e9
        changed = self._changed()
        settled = {name: when for name, (_, when) in changed.items() if when < newest}
        for name in sorted(settled, key=settled.__getitem__):
            self._upload([name])
        # Where everything is up, what is gone here may go there: no checkpoint that a snapshot names.
        if not self._changed():
            self._remove_gone()

    def _changed(self) -> dict[str, tuple[int, int]]:
        """Files that are not up as they are now."""
        return {name: facts for name, facts in self._files().items() if facts != self.uploaded.get(name)}

    def _files(self) -> dict[str, tuple[int, int]]:
        """(bytes, time of change) of each file by name, without what is hidden or temporary."""
        paths = (Path(where, name) for where, _, names in os.walk(self.folder) for name in names)
        names = (path.relative_to(self.folder).as_posix() for path in paths)
        found = {name: self._facts(name) for name in names if not is_temporary(name)}
        return {name: facts for name, facts in found.items() if facts}

    def _facts(self, name: str) -> tuple[int, int] | None:
        """(bytes, time of change) of a file, None when it is gone."""
        try:
            facts = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return facts.st_size, facts.st_mtime_ns

    def _upload(self, names: list[str]) -> None:
        """Upload files side by side; those that change meanwhile do not count."""
        before = {name: facts for name in names if (facts := self._facts(name))}
        files = {name: self.folder / name for name in before}
        object_store.upload(files, self.url, self.endpoint, self.step)
        for name in files:
            if before[name] == self._facts(name):
                self.uploaded[name] = before[name]
            else:
                object_store.remove_one(f"{self.url}/{name}", self.endpoint)

    def _remove_gone(self) -> None:
        for name in set(self.uploaded) - set(self._files()):
            object_store.remove_one(f"{self.url}/{name}", self.endpoint)
            del self.uploaded[name]

    def finish(self, record: dict) -> dict:
        """Upload the rest, write the record, tidy up; returns the record that stands at the place."""
        self._halt()
        self._upload(list(self._changed()))
        self._remove_gone()
        sizes = {name: num_bytes for name, (num_bytes, _) in sorted(self.uploaded.items())}
        record = {**record, "attempt": self.name, "files": {self.url: sizes}}
        standing = conclude(self.place, record, self.earlier, self.endpoint, self.step)
        if standing == record:
            write_json(self.folder / DONE, record)
        else:
            shutil.rmtree(self.folder)
        return standing


def new_attempt() -> str:
    """A name that no other attempt has; later ones sort after it."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"


def find_attempts(place: str, endpoint: str) -> dict[str, dict[str, int]]:
    """Files with their bytes by attempt at a place; of some there is only an upload that was begun."""
    found: dict[str, dict[str, int]] = {}
    for item in object_store.list_folder(place, endpoint):
        attempt, slash, name = item.name.partition("/")
        if slash:
            found.setdefault(attempt, {})[name] = item.num_bytes
    after = len(object_store.key_of(f"{place}/"))
    for upload in object_store.unfinished_uploads(f"{place}/", endpoint):
        found.setdefault(upload["Key"][after:].partition("/")[0], {})
    return found


def conclude(place: str, record: dict, earlier: Iterable[str], endpoint: str, step: str) -> dict:
    """Finish a place in object storage by an attempt's record; returns the record that stands there.

    The first to write it has made the place. What the record does not name goes: of the earlier attempts, or,
    where another was first, of this one.
    """
    written = object_store.write_new_json(f"{place}/{DONE}", record, endpoint)
    standing = record if written else read_record(place, endpoint)
    # A request that was repeated may find what it wrote itself.
    is_first = standing == record
    if not is_first:
        say(step, "another attempt finished this place first; its result stands")
    for attempt in earlier if is_first else [record["attempt"]]:
        url = f"{place}/{attempt}"
        object_store.remove(f"{url}/", endpoint, keep=standing.get("files", {}).get(url, {}))
    return standing


def is_temporary(name: str) -> bool:
    """Whether a file is hidden, or in a folder that engines use while they write."""
    *folders, file = PurePosixPath(name).parts
    return file.startswith(".") or file == DONE or any(item.startswith((".", "_")) for item in folders)
