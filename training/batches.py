"""Batches of a phase by step number: what the towers read and what the objective compares with."""

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training import data
from training.embedded import Pair
from training.objectives.inputs import PairInputs
from training.settings import Phase
from training.sources import DataSources


class BatchSource:
    """Batches of a phase by step number, from this worker's part of the data.

    `seed` is the phase's, the same for all workers: units are dealt out by it. What a worker draws within a
    step depends on its rank too.
    """

    def __init__(
        self,
        phase: Phase,
        sources: DataSources,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        self.phase, self.tokenizer, self.width = phase, tokenizer, sources.width
        self.seed, self.world = seed + rank, world
        self.towers = (*phase.towers, *phase.locked)
        self.pairs = self.texts = self.inputs = None
        if phase.data != "texts":
            self.pairs = sources.pairs(seed, rank, world, with_images="image" in self.towers)
            self.inputs = PairInputs(phase, self.pairs, sources.embedded, tokenizer, self.seed)
        if phase.data != "pairs":
            self.texts = sources.texts(phase.caption_share, seed, rank, world)

    @property
    def num_unreadable(self) -> int:
        """Rows that this worker met so far and could not read; others stood in for them."""
        return sum(stream.num_unreadable for stream in (self.pairs, self.texts) if stream)

    def __call__(self, step: int) -> dict:
        """The batch of a step; see `Context` for its names."""
        return {"pairs": self._pairs, "texts": self._texts, "both": self._both}[self.phase.data](step)

    def _both(self, step: int) -> dict:
        return {**self._pairs(step), **self._texts(step)}

    def _texts(self, step: int) -> dict:
        phase = self.phase
        num_rows = phase.batch_size if phase.data == "texts" else phase.text_batch_size
        rows = self.texts.rows(step, max(1, num_rows // self.world))
        return data.text_batch(rows, self.tokenizer, self.width)

    def _pairs(self, step: int) -> dict:
        per_worker = max(1, self.phase.batch_size // self.world)
        rows = self.inputs.rows(step, per_worker)
        drawn = data.views_of_step(1 + len(rows[0].views), per_worker, step, self.seed).tolist()
        rows, images = self._shown(rows, drawn, step)
        batch = data.pair_batch(data.collate(rows, drawn, self.width, images), self.tokenizer, self.towers)
        batch = self.inputs.complete(batch, rows, step)
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        if "pixels" in batch:
            batch["pixels"] = data.augment(batch["pixels"], self.phase.augment, chance)
        at_hand = self.pairs.at_hand(step * per_worker, per_worker)
        batch["anchors"] = data.draw_anchors(at_hand, self.phase.num_anchors, self.width, chance)
        return batch

    def _shown(self, rows: list[Pair], drawn: list[int], step: int) -> tuple[list[Pair], Tensor | None]:
        if "image" not in self.towers:
            return rows, None
        first = step * len(rows)
        # Past all places that this step's rows, grouped ones too, were taken from.
        after = first + 2 * len(rows) * max(1, self.phase.group_window)
        return self.pairs.decoded(rows, drawn, first, after)
