"""Data sets as folders: clip_benchmark's webdataset layout, and pictures in a folder a class.

clip_benchmark (github.com/LAION-AI/CLIP_benchmark) keeps a set as `test/N.tar` with samples of a picture and
`cls` (a number), `npy` (several labels) or `txt` (captions, one a line), `test/nshards.txt`, and beside them
`classnames.txt`, `zeroshot_classification_templates.txt` and `dataset_type.txt`. A set in Chinese too has
twins of the text files that end in `_zh.txt`. Pictures in folders are `test/CLASS/*.jpg` or `CLASS/*.jpg`
(training/exams/class_folders.py).

A picture is handed on as the bytes of its file, to be decoded by threads. Nothing here is unpickled or run.
"""

import io
import math
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from infra import text_lines
from training import shards
from training.exams.class_folders import IMAGE_TYPES, find_class_folders, is_junk
from training.exams.layout import NAMES, SPLIT, SUFFIXES, TEMPLATES, ExamError

__all__ = ["NAMES", "SPLIT", "SUFFIXES", "TEMPLATES", "ExamError"]
MAX_TEXT_BYTES = 2**20


@dataclass(frozen=True)
class PictureSet:
    """A set's labelled pictures, read anew by each call of `samples`.

    `samples` gives (bytes of an image file, or None where there are none; label). A label is a class number,
    or an array (classes,) where a picture has several. `class_names` are in the order of the numbers, None
    where the set does not tell. `named_by_folders` says that they are those of the class folders, so that
    their order means nothing. `left_out` counts files and folders that are not read, by reason.
    """

    folder: Path
    class_names: tuple[str, ...] | None
    samples: Callable[[], Iterator[tuple[bytes | None, int | np.ndarray]]]
    named_by_folders: bool = False
    left_out: dict[str, int] = field(default_factory=dict)


def open_set(folder: Path) -> PictureSet:
    """The labelled pictures of a folder in either layout.

    Raises:
        ExamError: it holds neither tars nor folders of pictures, or less than it says, or nothing says which
            class a folder is.
    """
    names = read_names(folder / f"{NAMES}.txt")
    if tars := find_tars(folder):
        return PictureSet(folder, names, lambda: map(_labelled, read_tars(tars)))
    found = find_class_folders(folder, names)
    return PictureSet(folder, names or found.names, found.images, names is None, dict(+found.left_out))


def holds_set(folder: Path) -> bool:
    """Whether a folder is a data set itself and not a folder of such."""
    return bool(_tars_in(folder)) or (folder / SPLIT).is_dir()


def find_tars(folder: Path) -> list[Path]:
    """The test set's tars in the order of their numbers.

    Raises:
        ExamError: there are fewer than `nshards.txt` says.
    """
    tars = _tars_in(folder)
    counts = read_lines(folder / SPLIT / "nshards.txt") or ("",)
    if tars and counts[0].isdecimal() and int(counts[0]) != len(tars):
        raise ExamError(f"{folder / SPLIT} has {len(tars)} of the {counts[0]} tars that nshards.txt promises")
    return tars


def _tars_in(folder: Path) -> list[Path]:
    found = [*(folder / SPLIT).glob("*.tar")] or [*folder.glob("*.tar")]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def read_tars(tars: list[Path]) -> Iterator[dict]:
    """Samples as dicts of bytes.

    Raises:
        ExamError: a tar is broken: half a test set would give the figure of another one.
    """
    for path in tars:
        try:
            yield from shards.read_shard(path, wanted=_is_wanted)
        except (tarfile.ReadError, EOFError) as error:
            raise ExamError(f"{path} is broken ({error}); fetch it again") from error


def _is_wanted(name: str) -> bool:
    """Whether a member of a tar is none that an operating system has put there."""
    return not any(is_junk(part) for part in name.removeprefix("./").split("/"))


def picture_in(sample: dict) -> bytes | None:
    """The bytes of a sample's image file."""
    return next((sample[name] for name in IMAGE_TYPES if name in sample), None)


def _labelled(sample: dict) -> tuple[bytes | None, int | np.ndarray]:
    if "npy" in sample:
        return picture_in(sample), read_npy(sample["npy"])
    text = sample.get("cls", b"").strip()
    if not text.isdigit():
        raise ExamError(f"sample {sample['__key__']} has no class number in .cls, and no labels in .npy")
    return picture_in(sample), int(text)


def read_npy(content: bytes) -> np.ndarray:
    """The labels (classes,) in a .npy file: whole numbers, never objects, no more than the file holds.

    Raises:
        ExamError: it is anything else.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, kind = read[version](stream)
    # numpy's reader of broken headers raises errors of many kinds.
    except Exception as error:
        raise ExamError(f"labels are no .npy file of version 1 or 2 ({error})") from error
    body = content[stream.tell() :]
    if kind.kind not in "biuf" or len(body) != math.prod(shape) * kind.itemsize:
        raise ExamError(f"labels in .npy should be numbers, not {kind} of shape {shape}")
    return np.frombuffer(body, kind).reshape(-1)


def read_names(path: Path) -> tuple[str, ...] | None:
    """Class names, a line each, None where the file is not.

    Raises:
        ExamError: a line is empty, so that the lines after it may not be at their numbers.
    """
    names = read_lines(path)
    if names is not None and (not names or "" in names):
        line = names.index("") + 1 if names else 1
        raise ExamError(f"line {line} of {path} is empty; each line is a class")
    return names


def read_templates(path: Path) -> tuple[str, ...] | None:
    """Prompt templates with `{c}` where the class name goes, None where the file is not.

    The toolkit's `{}` is taken for `{c}`.

    Raises:
        ExamError: a template has no place for the name, or there is none.
    """
    lines = read_lines(path)
    if lines is None:
        return None
    templates = tuple(line.replace("{}", "{c}") for line in lines if line)
    lacking = [line for line in templates if "{c}" not in line]
    if lacking or not templates:
        raise ExamError(f"{path}: a template needs {{c}} where the class name goes, not {lacking[:1]}")
    return templates


def read_lines(path: Path) -> tuple[str, ...] | None:
    """A text file's lines without white space around them, blank ones at the end left out; None without it.

    Raises:
        ExamError: it is no text of a reasonable size.
    """
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ExamError(f"{path} is larger than a list of names or templates should be")
    try:
        lines = text_lines.read_lines(path)
    except ValueError as error:
        raise ExamError(str(error)) from error
    return tuple(line.strip() for line in text_lines.without_last_blanks(lines))
