"""Checkpoints that say themselves whether they are whole: a state and its hash, the newest good one wins.

A machine may die while a file is written, and a disk may give back other bytes than it got.
"""

import hashlib
from pathlib import Path

import torch

from infra.storage import AnyPath

STATE, HASH = "checkpoint.pt", "checkpoint.sha256"


def write_checkpoint(state: dict, folder: Path) -> None:
    """Write `state` (tensors, numbers, strings) and its hash."""
    torch.save(state, folder / STATE)
    (folder / HASH).write_text(_hash_of(folder / STATE))


def read_checkpoint(folder: AnyPath) -> dict | None:
    """The state, or None when it is not whole. No code in it is run (weights_only).

    Raises:
        OSError: the disk's or the network's: an older checkpoint would cost hours for it.
    """
    try:
        whole = (folder / HASH).read_text() == _hash_of(folder / STATE)
    except FileNotFoundError:
        return None
    if not whole:
        return None
    with (folder / STATE).open("rb") as stream:
        return torch.load(stream, weights_only=True, map_location="cpu")


def newest_whole(folder: AnyPath | None) -> tuple[dict | None, list[str]]:
    """(state, names of those that are not whole) from a checkpoint's folder and the ones beside it.

    Folders are ordered by name, as Ray Train names them by time.
    """
    broken: list[str] = []
    if folder is None:
        return None, broken
    older = {file.parent for file in folder.parent.glob("checkpoint_*/*") if file.parent.name <= folder.name}
    for candidate in sorted(older, key=str, reverse=True) or [folder]:
        state = read_checkpoint(candidate)
        if state is not None:
            return state, broken
        broken.append(candidate.name)
    return None, broken


def _hash_of(path: AnyPath) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
