"""What a term may look at.

`given` holds the student's unit vectors and `batch` the stored ones, each (batch, width):

    given   image, zh, en (of pairs), text (of text alone), scale (one over the temperature), and image_map
            (batch, channels, height, width) where the term feature_map is
    batch   image_vector, zh_vector, en_vector, text_vector, has_zh, has_en (zeros and ones), anchors (the
            teacher's vectors of captions of pairs at hand), and what helpers.py and inputs.py add
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Context:
    """A step's outputs and inputs; `gather` concatenates rows of all workers, with gradients."""

    given: dict[str, Tensor]
    batch: dict[str, Tensor]
    gather: Callable[[Tensor], Tensor]
    _gathered: dict[str, Tensor] = field(default_factory=dict)

    def share(self, weight: Tensor) -> Tensor:
        """This worker's part of the rows that count, times the number of workers.

        Gradients are averaged over workers as equals: a mean over one worker's rows times its share is its
        part of the mean over the rows of all.
        """
        everywhere = self.gather(weight)
        num_workers = len(everywhere) / len(weight)
        return num_workers * weight.sum() / everywhere.sum().clamp(min=1)

    def captioned(self, *names: str) -> Iterator[tuple[Tensor, ...]]:
        """Per language the rows of all workers that have a caption in it.

        `names` are of `given` or `batch`, with {} for the language: `captioned("image", "{}_vector")`.
        """
        for lang in LANGUAGES:
            there = self.everywhere(f"has_{lang}") > 0
            yield tuple(self.everywhere(name.format(lang))[there] for name in names)

    def everywhere(self, name: str) -> Tensor:
        """Rows of all workers of one of `given` or `batch`; sent once, however many terms ask."""
        if name not in self._gathered:
            own = self.given[name] if name in self.given else self.batch[name]
            self._gathered[name] = self.gather(own)
        return self._gathered[name]


def mean(terms: list[Tensor]) -> Tensor:
    """Mean of scalars."""
    return torch.stack(terms).mean()
