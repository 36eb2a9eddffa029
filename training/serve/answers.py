"""What the page asks of a model: pictures for words, and labels for a picture.

One question at a time reaches the model, which uses all cores as it is, and one picture at a time is decoded,
so that many large ones do not fill the memory. Vectors of texts that were asked before are kept, as labels
are edited one by one, and so are thumbnails.
"""

import threading
from functools import lru_cache

import numpy as np

from training.serve.index import Index
from training.serve.models import Model
from training.serve.pictures import thumbnail
from training.served_model import RowError, checked, opened

MAX_LABELS = 1_000
MAX_TEXT_CHARS = 1_000
MAX_KEPT_TEXTS = 10_000
TEXTS_AT_ONCE = 64
KEPT_THUMBNAILS = 4_000  # about 10 kB each


class Answers:
    """A model with the vectors of a folder's pictures, and of texts."""

    def __init__(self, model: Model, index: Index | None):
        self.model, self.index = model, index
        self._texts: dict[str, np.ndarray] = {}
        self._turn, self._decoding = threading.Lock(), threading.Lock()
        self.thumbnail = lru_cache(KEPT_THUMBNAILS)(self._make_thumbnail)

    def search(self, text: str, num: int) -> list[tuple[int, float]]:
        """(number of a picture, cosine) of the pictures nearest to a text, the nearest first.

        Raises:
            RowError: there is no text, or it is too long.
        """
        (vector,) = self.embed_texts(_checked((text,)))
        return self.index.search(vector, num)

    def classify(self, body: bytes, labels: list[str]) -> list[float]:
        """Probabilities of the labels for a picture's file.

        Raises:
            RowError: it is no picture, or too large, or the labels are none, too many or empty.
        """
        names = _checked(labels)
        with self._decoding:
            pixels = self.model.prepare(opened(body))
        with self._turn:
            (vector,) = self.model.embed_prepared(pixels)
        return self.scores(vector, names)

    def _make_thumbnail(self, number: int) -> bytes:
        with self._decoding:
            return thumbnail(self.index.root, self.index.pictures[number].path)

    def classify_number(self, number: int, labels: list[str]) -> list[float]:
        """The same for a picture of the folder."""
        return self.scores(self.index.vectors[number], _checked(labels))

    def scores(self, vector: np.ndarray, labels: tuple[str, ...]) -> list[float]:
        """Softmax over the labels of scale times cosine."""
        logits = self.model.scale * (self.embed_texts(labels) @ vector).astype(np.float64)
        odds = np.exp(logits - logits.max())
        return (odds / odds.sum()).tolist()

    def embed_texts(self, texts: tuple[str, ...]) -> np.ndarray:
        """Unit vectors (number of texts, width)."""
        with self._turn:
            new = [text for text in dict.fromkeys(texts) if text not in self._texts]
            if len(self._texts) + len(new) > MAX_KEPT_TEXTS:
                self._texts, new = {}, list(dict.fromkeys(texts))
            for start in range(0, len(new), TEXTS_AT_ONCE):
                some = new[start : start + TEXTS_AT_ONCE]
                self._texts.update(zip(some, self.model.embed_texts(some), strict=True))
            return np.stack([self._texts[text] for text in texts])


def _checked(labels) -> tuple[str, ...]:
    """Labels without the spaces around them.

    Raises:
        RowError: see `Answers.classify`.
    """
    names = tuple(label.strip() for label in checked(labels))
    if len(names) > MAX_LABELS:
        raise RowError(f"{len(names)} labels are too many, at most {MAX_LABELS} can be asked at once")
    if longest := [name for name in names if len(name) > MAX_TEXT_CHARS]:
        raise RowError(
            f"a text of {len(longest[0])} characters is too long, at most {MAX_TEXT_CHARS} are read"
        )
    return names
