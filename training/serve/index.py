"""Vectors of a folder's pictures, computed once: exact search by cosine.

They are kept in one safetensors file below the user's cache, named by model and folder: numbers, and the
pictures' paths as text. What is new or has changed is embedded, what is gone is dropped. The file
is written every `SAVE_EVERY` batches and when the work is interrupted: the next start goes on there.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from infra.store import identity
from training.prefetch import Prefetched
from training.serve.models import Model
from training.serve.pictures import Listing, Picture, read_picture
from training.served_model import RowError
from training.web.build import cache_folder

BATCH = 32
DECODERS = 2
SAVE_EVERY = 50
Known = dict[Picture, np.ndarray]
Prepared = dict[Picture, np.ndarray | None]


@dataclass(frozen=True)
class Index:
    """Unit vectors (n, width) of the pictures, in their order; why others have none, counted."""

    root: Path
    pictures: tuple[Picture, ...]
    vectors: np.ndarray
    skipped: dict[str, int]

    def search(self, vector: np.ndarray, num: int) -> list[tuple[int, float]]:
        """(number of a picture, cosine) of the `num` nearest, the nearest first."""
        cosines = self.vectors @ vector
        num = min(num, len(cosines))
        nearest = np.argpartition(-cosines, num - 1)[:num] if num else []
        return sorted(((int(at), float(cosines[at])) for at in nearest), key=lambda item: -item[1])


def build_index(listing: Listing, model: Model, quiet: bool = False) -> Index:
    """Embed what is not known yet, with a bar; keeps all in the cache."""
    file = cache_folder() / "vectors" / f"{identity(model.content, str(listing.root))}.safetensors"
    kept = load(file, model.width)
    known = {picture: kept[picture] for picture in listing.pictures if picture in kept}
    new = [picture for picture in listing.pictures if picture not in kept]
    try:
        with tqdm(total=len(new), desc="looking at pictures", disable=quiet or not new) as bar:
            for number, prepared in enumerate(_prepared(listing.root, model, new), 1):
                known |= _embedded(model, prepared)
                bar.update(len(prepared))
                if not number % SAVE_EVERY:
                    save(file, known)
    finally:
        if known.keys() != kept.keys():
            save(file, known)
    return _index(listing, known, model.width)


def _prepared(root: Path, model: Model, pictures: list[Picture]) -> Iterator[Prepared]:
    """Batches of pictures as the tower takes them, made ahead; None where there is nothing to decode."""

    def prepare(picture: Picture) -> np.ndarray | None:
        try:
            return model.prepare(read_picture(root, picture.path))
        except RowError:
            return None

    def make(start: int) -> Prepared:
        batch = pictures[start : start + BATCH]
        return dict(zip(batch, decoders.map(prepare, batch), strict=True))

    with ThreadPoolExecutor(DECODERS, thread_name_prefix="decoders") as decoders:
        for _, batch in Prefetched(make, range(0, len(pictures), BATCH)):
            yield batch


def _embedded(model: Model, prepared: Prepared) -> Known:
    """Vectors of those that could be decoded."""
    readable = {picture: pixels for picture, pixels in prepared.items() if pixels is not None}
    if not readable:
        return {}
    vectors = model.embed_prepared(np.concatenate(list(readable.values())))
    return dict(zip(readable, vectors, strict=True))


def _index(listing: Listing, known: Known, width: int) -> Index:
    pictures = tuple(picture for picture in listing.pictures if picture in known)
    vectors = np.zeros((len(pictures), width), np.float32)
    for row, picture in enumerate(pictures):
        vectors[row] = known[picture]
    unreadable = len(listing.pictures) - len(pictures)
    skipped = listing.skipped | ({"unreadable": unreadable} if unreadable else {})
    return Index(listing.root, pictures, vectors, skipped)


def save(file: Path, known: Known) -> None:
    """Write vectors, all or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pictures = [astuple(picture) for picture in known]
    vectors = np.array(list(known.values()), np.float32)
    partial = file.with_suffix(f".{os.getpid()}")
    save_file({"vectors": vectors}, partial, metadata={"pictures": json.dumps(pictures)})
    partial.replace(file)


def load(file: Path, width: int) -> Known:
    """What `save` has written; nothing where the file is missing, cut off or another's."""
    try:
        with safe_open(file, "np") as stored:
            vectors = stored.get_tensor("vectors")
            pictures = [Picture(*row) for row in json.loads(stored.metadata()["pictures"])]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return {}
    fits = vectors.shape == (len(pictures), width) and vectors.dtype == np.float32
    return dict(zip(pictures, vectors, strict=True)) if fits else {}
