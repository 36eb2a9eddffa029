"""An ensemble of teachers as one teacher (MobileCLIP's practice, arXiv 2311.17049, section 3.1).

The vectors of all members stand side by side, each times the square root of its share, so that a cosine of
the ensemble is the weighted mean of its members' cosines. Its width is the sum of theirs, and so is the
student's: two teachers of 768 give 1,536 numbers an image or text.

Left out: softmax over each member's similarities before the mean, as MobileCLIP's loss has it. It needs the
members apart, in the objective.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from infra.store import write_json
from training.teacher import CARD, Teacher


def save_ensemble_card(folder: Path, members: list[str], weights: list[float]) -> None:
    """Make a directory of `members`, subfolders that hold a teacher each, one teacher."""
    write_json(folder / CARD, {"kind": "ensemble", "members": members, "weights": weights})


class EnsembleTeacher:
    """Members and their weights, which need not sum to one."""

    def __init__(self, members: list[Teacher], weights: list[float]):
        shares = np.array(weights, np.float64) / sum(weights)
        self.members, self.factors = members, np.sqrt(shares).astype(np.float32)
        self.width = sum(member.width for member in members)

    def prepare_images(self, images: list[Image]) -> list[Any]:
        """See `Teacher`."""
        return [member.prepare_images(images) for member in self.members]

    def embed_prepared(self, prepared: list[Any]) -> np.ndarray:
        """See `Teacher`."""
        pairs = zip(self.members, prepared, strict=True)
        return self._side_by_side([member.embed_prepared(own) for member, own in pairs])

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """See `Teacher`."""
        return self.embed_prepared(self.prepare_images(images))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """See `Teacher`."""
        return self._side_by_side([member.embed_texts(texts) for member in self.members])

    def _side_by_side(self, vectors: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(
            [factor * rows for factor, rows in zip(self.factors, vectors, strict=True)], axis=1
        )
