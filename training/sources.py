"""What a worker trains on: streams of pairs and texts over the embedded shards, opened for each phase."""

from collections.abc import Callable
from functools import cached_property, partial

from infra.storage import AnyPath
from training.embedded import Embedded
from training.first_fit import FirstFit
from training.pair_stream import PairStream
from training.pictures import CACHE_BYTES, Pictures
from training.selection import Counts, Selection
from training.stream import Stream, Unit, cut_units
from training.text_stream import TextStream

# Texts are small, and the more of them are at hand the better they mix.
TEXT_WINDOW = 16
# Small data are read once: shards are cut into parts for many workers, and each part reads its shard.
UNIT_CACHE_BYTES = 256 * 2**20


class DataSources:
    """The data of a worker; units and decoded pictures that fit in memory are kept from phase to phase.

    A stream deals its units out by `seed`, which therefore is the same for all workers.
    """

    def __init__(
        self,
        embedded: AnyPath,
        selection: AnyPath,
        width: int,
        side: int,
        *,
        num_decoders: int = 1,
        cache_bytes: int = CACHE_BYTES,
        unit_cache_bytes: int = UNIT_CACHE_BYTES,
    ):
        self.embedded = Embedded(embedded, Selection(selection), width)
        self.width = width
        self.units = FirstFit(unit_cache_bytes)
        self.pictures = Pictures(side, num_decoders, cache_bytes)

    @cached_property
    def counts(self) -> Counts:
        """How much there is in each shard."""
        return self.embedded.selection.counts()

    def pairs(self, seed: int, rank: int = 0, world: int = 1, with_images: bool = True) -> PairStream:
        """The selected pairs."""
        read = partial(self.embedded.pairs, with_images=with_images)
        load = partial(self.units.rows, read, of=f"pairs, with images: {with_images}")
        units = cut_units(self.counts.pairs, world)
        return PairStream(Stream(units, load, rank=rank, world=world, seed=seed), self.pictures)

    def texts(self, caption_share: float, seed: int, rank: int = 0, world: int = 1) -> TextStream:
        """Texts without images, and `caption_share` captions; only captions where nothing else is."""

        def stream(counts: dict[str, int], read: Callable[[Unit], list]) -> Stream | None:
            if not any(counts.values()):
                return None
            load = partial(self.units.rows, read, of=read.__name__)
            units = cut_units(counts, world)
            return Stream(units, load, rank=rank, world=world, seed=seed, window=TEXT_WINDOW)

        captions = stream(self.counts.captions, self.embedded.captions)
        others = stream(self.embedded.num_texts(), self.embedded.texts)
        return TextStream(captions, others, caption_share, seed + rank)
