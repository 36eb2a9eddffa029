"""Pictures below a folder: which there are, one decoded, one as a thumbnail.

Nothing outside the folder is ever opened: links that lead out are passed over when the folder is listed, and
a path is looked at again when its picture is opened. A page asks for pictures by number, never by name.
"""

import io
import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from infra.file_names import is_utf8
from training.served_model import RowError, opened, read_file

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    ".avif",
}
# Pictures in formats that are not decoded here: phones' HEIF, newer and older ones, drawings, cameras' own.
OTHER_SUFFIXES = {
    *(
        ".heic",
        ".heif",
        ".hif",
        ".avifs",
        ".jxl",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxr",
        ".ico",
        ".tga",
        ".psd",
        ".xcf",
    ),
    *(".svg", ".svgz", ".eps", ".ai", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".qoi", ".dds"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
}
MAX_BYTES = 64 * 2**20
THUMBNAIL_SIDE = 256


@dataclass(frozen=True, order=True)
class Picture:
    """A picture file, by its path below the folder, and what tells whether it has changed."""

    path: str
    num_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, sorted by path, and why other files are none of them, counted."""

    root: Path
    pictures: tuple[Picture, ...]
    skipped: dict[str, int]


def list_pictures(root: Path, max_pictures: int) -> Listing:
    """Pictures below `root`, hidden folders left out, at most `max_pictures`."""
    root = root.resolve()
    pictures, skipped = [], Counter()

    def pass_over(error: OSError) -> None:
        skipped["folder_cannot_be_read"] += 1

    for folder, folders, names in os.walk(root, onerror=pass_over):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # Not followed: it may lead outside, or round and round.
        skipped["linked_folder"] += sum(Path(folder, name).is_symlink() for name in folders)
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or suffix not in SUFFIXES | OTHER_SUFFIXES:
                continue
            found = _look(root, Path(folder, name)) if suffix in SUFFIXES else "other_format"
            if isinstance(found, str):
                skipped[found] += 1
            elif len(pictures) >= max_pictures:
                skipped["too_many"] += 1
            else:
                pictures.append(found)
    return Listing(root, tuple(sorted(pictures)), dict(+skipped))


def _look(root: Path, path: Path) -> Picture | str:
    """The picture at a path, or the reason why there is none."""
    try:
        state = path.stat()
        if not path.resolve(strict=True).is_relative_to(root):
            return "leads_outside"
    except (OSError, RuntimeError):
        return "cannot_be_read"
    # Neither JSON nor a page can show it.
    if not is_utf8(str(path.relative_to(root))):
        return "name_not_utf8"
    if not stat.S_ISREG(state.st_mode):
        return "no_file"
    if state.st_size > MAX_BYTES:
        return "too_many_bytes"
    return Picture(str(path.relative_to(root)), state.st_size, state.st_mtime_ns)


def read_picture(root: Path, path: str) -> Image.Image:
    """A picture of a listing, decoded, upright, RGB.

    Raises:
        RowError: it cannot be read any more, or is too large, or leads outside by now.
    """
    if isinstance(found := _look(root, root / path), str):
        raise RowError(found)
    try:
        content = read_file(root / path)
    except OSError as error:
        raise RowError(f"cannot read the picture: {error.strerror}") from None
    except ValueError:
        raise RowError("no_file") from None
    return opened(content)


def thumbnail(root: Path, path: str) -> bytes:
    """A small JPEG of a picture of a listing.

    Raises:
        RowError: see `read_picture`.
    """
    image, stream = read_picture(root, path), io.BytesIO()
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()
