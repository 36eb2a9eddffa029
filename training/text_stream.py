"""A worker's batches of texts: captions and texts without images in a fixed share, of like length.

Eight steps are drawn together and sorted by length, so that a batch has little padding. All of it is a
function of seed, rank and step.
"""

import functools

import torch

from training.embedded import Text
from training.stream import Stream

WINDOW = 8


class TextStream:
    """Texts by step; one of the two sequences may be missing."""

    def __init__(self, captions: Stream | None, others: Stream | None, caption_share: float, seed: int):
        if not captions and not others:
            raise ValueError("there are no texts to train on")
        self.captions, self.others, self.seed = captions, others, seed
        self.caption_share = caption_share if captions and others else float(others is None)
        self._drawn = functools.lru_cache(maxsize=2)(self._draw)

    @property
    def num_unreadable(self) -> int:
        """Texts that could not be read so far."""
        return sum(stream.num_missing for stream in (self.captions, self.others) if stream)

    def rows(self, step: int, batch_size: int) -> list[Text]:
        """The texts of a step."""
        window, place = divmod(step, WINDOW)
        return self._drawn(window, batch_size)[place]

    def _draw(self, window: int, batch_size: int) -> list[list[Text]]:
        """The batches of eight steps."""
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + window)
        num_drawn = WINDOW * batch_size
        num_captions = round(self.caption_share * num_drawn)
        rows = _stretch(self.captions, window, num_captions)
        rows += _stretch(self.others, window, num_drawn - num_captions)
        lengths = torch.tensor([float(len(row.text.encode())) for row in rows])
        # Equal lengths are in random order, whichever sequence they came from.
        order = (lengths + torch.rand(num_drawn, generator=chance)).argsort().view(WINDOW, batch_size)
        batches = order[torch.randperm(WINDOW, generator=chance)].tolist()
        return [[rows[number] for number in batch] for batch in batches]


def _stretch(stream: Stream | None, window: int, number: int) -> list[Text]:
    return stream.rows(window * number, number) if stream and number else []
