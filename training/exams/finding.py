"""Where an exam's sets lie: in folders below the exam's, or fetched from a hub at a pinned commit."""

import re
from pathlib import Path

from training.exams.class_folders import is_junk
from training.exams.folders import NAMES, SPLIT, ExamError, holds_set
from training.exams.plain_names import plain_name
from training.exams.settings import ExamSource, HubSet

# A set by the names that ELEVATER's toolkit, clip_benchmark and torchvision give it, the best data first:
# clip_benchmark's voc2007 holds single objects cut out, with one label each, its twin whole pictures.
ALIASES = (
    ("caltech-101", "caltech101"),
    ("eurosat_clip", "eurosat"),
    ("fgvc-aircraft-2013b-variants102", "fgvc_aircraft", "fgvc-aircraft", "aircraft"),
    ("kitti-distance", "kitti_closest_vehicle_distance", "kitti"),
    ("oxford-flower-102", "flowers", "flowers102", "oxford_flowers102"),
    ("oxford-iiit-pets", "pets", "oxford-iiit-pet"),
    ("patch-camelyon", "pcam"),
    ("resisc45_clip", "resisc45"),
    ("stanford-cars", "cars"),
    ("voc-2007-classification", "voc2007_multilabel", "voc2007"),
)
# How clip_benchmark's repositories are called: wds_food101, wds_vtab-pets.
PREFIX = re.compile(r"^(wds_)?(vtab[-_])?")
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


def names_of(name: str) -> list[str]:
    """The plain names that a set's folder may have."""
    plain = plain_name(name)
    group = next((group for group in ALIASES if plain in map(plain_name, group)), ())
    return [plain, *(plain_name(alias) for alias in group)]


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
