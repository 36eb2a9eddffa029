"""Where an exam's sets lie: in folders below the exam's, or fetched from a hub at a pinned commit."""

import re
from pathlib import Path

from training.exams.class_folders import is_junk
from training.exams.folders import NAMES, SPLIT, ExamError, holds_set
from training.exams.plain_names import names_of, plain_name
from training.exams.settings import ExamSource, HubSet

# How clip_benchmark's repositories are called: wds_food101, wds_vtab-pets.
PREFIX = re.compile(r"^(wds_)?(vtab[-_])?")
__all__ = ["fetch", "find_set", "list_sets", "names_of"]
FETCHED = (f"{SPLIT}/*.tar", f"{SPLIT}/nshards.txt", f"{NAMES}*.txt", "zeroshot_*.txt", "dataset_type.txt")


def find_set(source: ExamSource, name: str, only: bool = False) -> Path | None:
    """The folder of a set, None where it is missing.

    Args:
        only: whether the exam has no other set, and its folder may be the set's.

    Raises:
        ExamError: a hub does not give it.
    """
    wanted = names_of(name)
    for item in source.hub:
        if plain_name(item.name) in wanted:
            return fetch(item)
    home = Path(source.path) if source.path else None
    if home is None or (only and holds_set(home)):
        return home
    found = {plain_name(PREFIX.sub("", item.name)): item for item in sorted(home.iterdir()) if item.is_dir()}
    return next((found[spelling] for spelling in wanted if spelling in found), None)


def list_sets(source: ExamSource) -> list[str]:
    """Names of the sets of an exam that is no published list: those asked for, or all there are."""
    if source.sets:
        return list(source.sets)
    home = Path(source.path) if source.path else None
    if home and holds_set(home):
        return [source.name or home.name]
    folders = sorted(item.name for item in home.iterdir() if item.is_dir()) if home else []
    return [*(item.name for item in source.hub), *(name for name in folders if not is_junk(name))]


def fetch(item: HubSet) -> Path:
    """A set's folder from a hub, in the hub's own cache on this machine.

    Raises:
        ExamError: it is not pinned, or cannot be fetched.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", item.revision):
        raise ExamError(
            f"{item.repository} should be pinned by a commit of 40 hex digits, not {item.revision!r}"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        options = {"revision": item.revision, "allow_patterns": list(FETCHED)}
        return Path(snapshot_download(item.repository, repo_type="dataset", **options))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise ExamError(f"{item.repository} cannot be fetched: {' '.join(reason)[:300]}") from error
