"""Pictures decoded by threads (Pillow leaves Python's lock while it works), once where they fit in memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training import shards
from training.embedded import Pair
from training.first_fit import FirstFit
from training.views import show

CACHE_BYTES = 2 * 2**30


class Pictures:
    """Pixels of pairs at the student's side, uint8 (3, side, side)."""

    def __init__(self, side: int, num_decoders: int = 1, cache_bytes: int = CACHE_BYTES):
        self.side = side
        self._kept = FirstFit(cache_bytes)
        self._decoders = ThreadPoolExecutor(num_decoders, thread_name_prefix="decoders")

    def decode(self, pairs: list[Pair], views: list[int]) -> list[Tensor | None]:
        """A view of each pair, 0 for the plain picture; None where the picture cannot be decoded."""
        wanted = {(pair.key, view): pair for pair, view in zip(pairs, views, strict=True)}
        new = [look for look in wanted if look not in self._kept]
        pixels = self._decoders.map(lambda look: self._pixels(wanted[look], look[1]), new)
        fresh = dict(zip(new, pixels, strict=True))
        looks = zip((pair.key for pair in pairs), views, strict=True)
        found = [fresh[look] if look in fresh else self._kept[look] for look in looks]
        for look, pixels in fresh.items():
            self._kept.keep(look, pixels, 3 * self.side**2)
        return found

    def _pixels(self, pair: Pair, view: int) -> Tensor | None:
        image = shards.decode_or_none(pair.image)
        if image is None:
            return None
        return pixels_of(show(image, pair.views[view - 1]) if view else image, self.side)


def pixels_of(image: Image.Image, side: int) -> Tensor:
    """uint8 (3, side, side), resized as the student's image processor resizes."""
    resized = image.resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
