"""Where a step works: in its folder, or, in object storage, at the store itself, without a copy on a disk.

A step that works so (`working_path`) writes below a prefix that no other attempt writes to, and finds there
what earlier attempts have finished: nothing is copied or made twice. Its record names each file where it
lies. Files of one stem belong together, a shard and its scores; they are finished, and all taken from one
attempt, where a file is that one of the patterns `finished_by` fits, which is written last.

Steps that need a folder work in a copy (infra/places.py).
"""

import contextlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from infra import object_store
from infra.console import say
from infra.object_store import is_object
from infra.places import conclude, find_attempts, folder_alone, new_attempt
from infra.storage import AnyPath, StoragePath
from infra.store import write_json

# Where the files of earlier attempts are, for the workers of an attempt.
EARLIER = ".earlier.json"
# Where the files of other results are that this one has under names of its own.
REFERENCES = ".references.json"
# What attempts hand on to each other and no result keeps: checkpoints of training.
SHARED = "shared"
HELPERS = (EARLIER, REFERENCES)


@contextlib.contextmanager
def working_path(
    place: str, endpoint: str, step: str, finished_by: tuple[str, ...], carried: tuple[str, ...] = ()
) -> Iterator[tuple[AnyPath, Callable[[dict], dict]]]:
    """(path to work at, function that takes the record and finishes the place) while the body runs.

    `carried` are patterns of small files that an attempt begins with as the latest one has left them.
    The function returns the record as it stands at the place: another attempt's, when that was first.
    """
    if not is_object(place):
        with folder_alone(Path(place), step) as working:
            yield working
        return
    name = new_attempt()
    path = StoragePath(f"{place}/{name}")
    attempts = find_attempts(place, endpoint)
    kept = kept_files(attempts, finished_by)
    files: dict[str, dict[str, int]] = {}
    for file, (attempt, num_bytes) in sorted(kept.items()):
        files.setdefault(f"{place}/{attempt}", {})[file] = num_bytes
    if kept:
        say(step, f"an earlier attempt was cut off; going on from {len(kept)} files that it has stored")
        path = StoragePath(path.root, manifest=f"{path.root}/{EARLIER}")
        object_store.write_new_json(path.manifest, {"files": files}, endpoint)

    for file, attempt in latest_with(attempts, carried).items():
        (path / file).write_bytes(StoragePath(f"{place}/{attempt}", file).read_bytes())

    def finish(record: dict) -> dict:
        # Of workers that died and were replaced.
        object_store.abort_uploads(f"{path.root}/", endpoint)
        items = object_store.list_folder(path.root, endpoint)
        own = {item.name: item.num_bytes for item in items if item.name not in HELPERS}
        elsewhere = (object_store.read_json(f"{path.root}/{REFERENCES}", endpoint) or {}).get("files", {})
        record = {**record, "attempt": name, "files": {**elsewhere, **files, path.root: own}}
        standing = conclude(place, record, {*attempts, SHARED}, endpoint, step)
        object_store.remove_names(HELPERS, path.root, endpoint)
        return standing

    yield path, finish


def latest_with(attempts: dict[str, dict[str, int]], patterns: tuple[str, ...]) -> dict[str, str]:
    """The latest attempt that has left a file, by the file's name."""
    return {
        name: attempt
        for attempt in sorted(attempts)
        for name in attempts[attempt]
        if attempt != SHARED and any(fnmatch(name, pattern) for pattern in patterns)
    }


def refer_to(path: AnyPath, files: dict[str, StoragePath]) -> None:
    """Let a result in object storage have files of another one, by name: its record will say where they are.

    The name must be the one that the other result has for it.
    """
    if files and isinstance(path, StoragePath):
        found: dict[str, dict[str, int]] = {}
        for name, source in files.items():
            found.setdefault(source.url.removesuffix(f"/{name}"), {})[name] = source.stat().st_size
        write_json(path / REFERENCES, {"files": found})


def kept_files(
    attempts: dict[str, dict[str, int]], finished_by: tuple[str, ...]
) -> dict[str, tuple[str, int]]:
    """(attempt, bytes) of each file of what attempts have finished, the latest of those that have."""
    best: dict[str, dict[str, tuple[str, int]]] = {}
    for attempt, files in sorted(attempts.items()):
        groups: dict[str, dict[str, tuple[str, int]]] = {}
        for file, num_bytes in files.items():
            groups.setdefault(PurePosixPath(file).stem, {})[file] = (attempt, num_bytes)
        best |= {
            stem: group
            for stem, group in groups.items()
            if any(fnmatch(file, pattern) for file in group for pattern in finished_by)
        }
    return {file: facts for found in best.values() for file, facts in found.items()}
