"""A teacher is two functions in one space: images to unit vectors, and texts to unit vectors.

A teacher lives in a directory with a `teacher.json` that names its kind; `load_teacher` opens it. Kinds:
`lit` (training/lit.py) joins frozen networks by locked-image tuning, `hf` (training/hf_teacher.py) is a
CLIP-like transformers model, `ensemble` (training/ensemble.py) is several teachers side by side.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL.Image import Image

from infra.store import read_json

CARD = "teacher.json"


class Teacher(Protocol):
    """Vectors are float32 of unit length, shape (number of inputs, width).

    `embed_images` is `embed_prepared` of `prepare_images`, which needs no accelerator and may run in threads
    ahead of it.
    """

    width: int

    def prepare_images(self, images: list[Image]) -> Any:
        """What `embed_prepared` takes, of RGB images of any size."""
        ...

    def embed_prepared(self, prepared: Any) -> np.ndarray:
        """Vectors of prepared images."""
        ...

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """Vectors of RGB images of any size."""
        ...

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Vectors of texts in Chinese or English."""
        ...


def load_teacher(folder: Path) -> Teacher:
    """The teacher in a directory that prepare_teacher wrote.

    Raises:
        ValueError: the directory's kind is unknown.
    """
    card = read_json(folder / CARD)
    kind = card["kind"]
    if kind == "lit":
        from training.lit import LitTeacher

        return LitTeacher(folder)
    if kind == "hf":
        from training.hf_teacher import HfTeacher

        return HfTeacher(folder, card["precision"])
    if kind == "ensemble":
        from training.ensemble import EnsembleTeacher

        return EnsembleTeacher([load_teacher(folder / name) for name in card["members"]], card["weights"])
    raise ValueError(f"{folder / CARD}: unknown kind of teacher {kind!r}, expected lit, hf or ensemble")
