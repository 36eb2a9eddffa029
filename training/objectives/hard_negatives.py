"""Grouped hard negatives: batches made of pairs that resemble each other.

GRIT-VLP (arXiv 2208.04060): a window of several batches is put in a chain, from a pair's image to the most
similar text that is left and from that pair's text to the most similar image, and the chain is cut into
batches. There the similarity is the model's of an epoch ago; here it is that of the teacher's stored
vectors, so that the rows of a step depend on seed and step alone.
"""

import torch
from torch import Tensor


def chain(images: Tensor, texts: Tensor, start: int) -> Tensor:
    """An order of the pairs in which neighbours are similar, from `start` on."""
    left = torch.ones(len(images), dtype=torch.bool)
    order = [start]
    sides = ((images, texts), (texts, images))
    for number in range(len(images) - 1):
        left[order[-1]] = False
        here, there = sides[number % 2]
        similar = (there @ here[order[-1]]).masked_fill(~left, -torch.inf)
        order.append(int(similar.argmax()))
    return torch.tensor(order)


def group_rows(images: Tensor, texts: Tensor, batch_size: int, chance: torch.Generator) -> tuple[Tensor, ...]:
    """Batches of similar pairs, in random order; each is a tensor of row numbers."""
    start = int(torch.randint(len(images), (1,), generator=chance))
    batches = chain(images, texts, start).split(batch_size)
    return tuple(batches[number] for number in torch.randperm(len(batches), generator=chance))
