"""A worker's endless sequence of pairs, with their pictures decoded where a phase looks at them."""

import torch
from torch import Tensor

from training.embedded import Pair
from training.pictures import Pictures
from training.stream import Stream

# So many pictures in a row that cannot be decoded are no accident.
MAX_STAND_INS = 1_000


class PairStream:
    """Pairs by their place in the sequence."""

    def __init__(self, stream: Stream, pictures: Pictures):
        self.stream, self.pictures = stream, pictures
        self.rows, self.at_hand = stream.rows, stream.at_hand
        self.unreadable: set[str] = set()

    @property
    def num_unreadable(self) -> int:
        """Pairs that could not be read so far, or whose picture could not be decoded."""
        return self.stream.num_missing + len(self.unreadable)

    @property
    def num_rows(self) -> int:
        """About how many pairs an epoch of this worker has."""
        return sum(unit.num_rows for unit in self.stream.units) // self.stream.world

    def distinct(self, first: int, number: int) -> list[Pair]:
        """`number` pairs from place `first` on; where there are so many, none comes twice.

        A stretch of the sequence may span two epochs, twice its length has enough different pairs.
        """
        rows = self.rows(first, 2 * number)
        found = list({row.key: row for row in rows}.values())
        return (found + rows)[:number]

    def decoded(
        self, rows: list[Pair], views: list[int], first: int, after: int
    ) -> tuple[list[Pair], Tensor]:
        """(pairs, uint8 images) of rows that were taken from place `first` on.

        A row whose picture cannot be decoded gives way to the next one from place `after` on that can.

        Raises:
            ValueError: there is none far and wide.
        """
        rows, images = list(rows), self.pictures.decode(rows, views)
        spare = iter(range(after, after + MAX_STAND_INS))
        for number, view in enumerate(views):
            while images[number] is None:
                self.unreadable.add(rows[number].key)
                place = next(spare, None)
                if place is None:
                    raise ValueError(f"{MAX_STAND_INS} pictures in a row could not be decoded")
                rows[number] = self.rows(first, place - first + 1)[-1]
                (images[number],) = self.pictures.decode([rows[number]], [view])
        return rows, torch.stack(images)
