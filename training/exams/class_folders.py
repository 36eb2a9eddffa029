"""A data set as a folder of images for each class: which class a folder is, and what is left out, counted.

A folder is matched to a class by its name, where `classnames.txt` has that name; by its number, where all
folders are numbers, as in ImageNetV2; by the order of WordNet's numbers (`n01440764`), which is ImageNet's
own. The order of other names says nothing of the order of classes, so anything else is refused.

Nested folders are not read: which of them are classes, and which are parts of one, nothing says.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.file_names import is_utf8, shown_name
from training import shards
from training.exams.layout import NAMES, SPLIT, ExamError, NoImagesError
from training.exams.plain_names import plain_name

IMAGE_TYPES = (*shards.IMAGE_TYPES, "jpeg")
# Images that other readers of such folders take; here they are counted.
OTHER_TYPES = ("bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "jp2", "heic", "avif", "jfif")
WORDNET = re.compile(r"n[0-9]+")
# What operating systems put beside people's files.
JUNK = ("__macosx", "@eadir", "$recycle.bin", "lost+found", "system volume information", "thumbs.db")
BY_NAME, BY_NUMBER, BY_WORDNET = "by_name", "by_number", "by_wordnet_number"


@dataclass(frozen=True)
class ClassFolders:
    """Folders of images, each with its class number, and what is left out by reason."""

    numbered: tuple[tuple[int, Path], ...]
    left_out: Counter

    @property
    def names(self) -> tuple[str, ...]:
        """The folders' names in their order."""
        return tuple(folder.name for _, folder in self.numbered)

    def images(self) -> Iterator[tuple[bytes | None, int]]:
        """(bytes of an image file, None where it is too large; class number)."""
        for number, folder in self.numbered:
            for path in image_files(folder):
                fits = path.stat().st_size <= shards.MAX_MEMBER_BYTES
                yield path.read_bytes() if fits else None, number


def find_class_folders(folder: Path, names: tuple[str, ...] | None) -> ClassFolders:
    """The class folders of a data set.

    Args:
        names: the class names in the order of their numbers; None where the folders' own are the names, in
            their order.

    Raises:
        ExamError: there are none, or nothing says which class a folder is.
    """
    home = folder / SPLIT if (folder / SPLIT).is_dir() else folder
    found, left_out = _listed(home)
    _require_utf8(found)
    if names is None:
        found = _with_images(found, left_out)
        order = list(range(len(found)))
    else:
        found, order = _placed(home, found, names, left_out)
    if not found:
        raise NoImagesError(f"{home} holds neither tars nor a folder of images for each class")
    for item in found:
        left_out.update(reason for reason in map(reason_to_skip, _entries(item)) if reason)
    return ClassFolders(tuple(zip(order, found, strict=True)), left_out)


def _listed(home: Path) -> tuple[list[Path], Counter]:
    """(folders that may be classes in order of their names, what else is there by reason)."""
    found, left_out = [], Counter()
    for item in _entries(home):
        if is_junk(item.name):
            left_out["hidden_or_junk"] += 1
        elif item.is_dir():
            found.append(item)
        elif _type_of(item) in (*IMAGE_TYPES, *OTHER_TYPES):
            left_out["in_no_class_folder"] += 1
    return found, left_out


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, in an order that any encoding of its names has."""
    return sorted(folder.iterdir(), key=lambda item: os.fsencode(item.name))


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or an operating system's own."""
    return name.startswith(".") or name.lower() in JUNK


def reason_to_skip(item: Path) -> str | None:
    """Why a file in a class folder is left out; None where it is an image to read, or no image at all."""
    if is_junk(item.name):
        return "hidden_or_junk"
    try:
        mode = item.stat().st_mode
    except OSError:
        return "cannot_be_read"
    if stat.S_ISDIR(mode):
        return "nested_folder"
    if _type_of(item) in OTHER_TYPES:
        return "other_image_format"
    if _type_of(item) not in IMAGE_TYPES:
        return "no_image_file"
    return None if stat.S_ISREG(mode) else "no_regular_file"


def image_files(folder: Path) -> list[Path]:
    """The image files of a class folder that are read."""
    return [item for item in _entries(folder) if reason_to_skip(item) is None]


def _type_of(item: Path) -> str:
    return item.suffix.lower().removeprefix(".")


def _require_utf8(folders: list[Path]) -> None:
    for item in folders:
        if not is_utf8(item.name):
            raise ExamError(
                f"the name of the class folder {shown_name(item.name)} is not UTF-8: rename it, for example "
                "by convmv"
            )


def _with_images(folders: list[Path], left_out: Counter) -> list[Path]:
    """Folders that hold an image of any format at any depth: no other is a class, unless none does."""
    found = [item for item in folders if _holds_images(item)] or folders
    left_out["folder_without_images"] += len(folders) - len(found)
    return found


def _holds_images(folder: Path) -> bool:
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(_type_of(Path(name)) in (*IMAGE_TYPES, *OTHER_TYPES) for name in names)


def _placed(
    home: Path, folders: list[Path], names: tuple[str, ...], left_out: Counter
) -> tuple[list[Path], list[int]]:
    """(folders, the class number of each). Errors as `find_class_folders`."""
    order = match_folders([item.name for item in folders], names)
    if order is not None or not folders:
        return folders, order or []
    with_images = _with_images(folders, left_out)
    order = match_folders([item.name for item in with_images], names)
    if with_images and order is not None:
        return with_images, order
    raise ExamError(
        f"{home} has {len(folders)} class folders, its {NAMES}.txt {len(names)} lines, and neither names nor "
        f"numbers agree{_first_difference(folders, names)}; rename the folders as the lines of {NAMES}.txt, "
        f"or by their numbers, 0 to {len(names) - 1}"
    )


def _first_difference(folders: list[Path], names: tuple[str, ...]) -> str:
    known = set(map(plain_name, names))
    others = (item.name for item in folders if plain_name(item.name) not in known)
    return next((f" ({name!r} is no line of it)" for name in others), "")


def match_folders(folders: list[str], names: tuple[str, ...]) -> list[int] | None:
    """The class number of each folder name, None where nothing says it: see the module's docstring."""
    by_name = _by_name(folders, names)
    if by_name is not None:
        return by_name
    by_number = numbers_of(folders, len(names))
    if by_number is not None:
        return by_number
    wordnet = len(folders) == len(names) and len({len(name) for name in folders}) == 1
    if wordnet and all(map(WORDNET.fullmatch, folders)):
        return list(range(len(folders)))
    return None


def _by_name(folders: list[str], names: tuple[str, ...]) -> list[int] | None:
    """Each folder's place among the names; None where one is missing there, or two are one."""
    # As they are written first: plain, `C` and `C++` are one.
    for written in (str, plain_name):
        known = Counter(map(written, names))
        wanted = [written(name) for name in folders]
        if len(set(wanted)) == len(wanted) and all(known[name] == 1 for name in wanted):
            places = {written(name): number for number, name in enumerate(names)}
            return [places[name] for name in wanted]
    return None


def numbers_of(folders: list[str] | tuple[str, ...], num_classes: int) -> list[int] | None:
    """Class numbers that folders are named by; None where they are others, twice the same, or not from 0.

    Without a 0 nobody knows whether they count from 1.
    """
    if not all(name.isdecimal() for name in folders):
        return None
    numbers = [int(name) for name in folders]
    whole = len(set(numbers)) == len(numbers) and 0 in numbers and max(numbers) < num_classes
    return numbers if whole else None
