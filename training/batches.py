"""Batches of a phase by step number: what the towers read and what the objective compares with."""

import torch

from training import data
from training.objectives.inputs import PairInputs
from training.settings import Phase


class BatchSource:
    """Batches of a phase by step number, from this worker's share of the data."""

    def __init__(self, phase: Phase, pairs: data.Pairs, texts: data.Texts, tokenizer, seed: int, world: int):
        self.phase, self.pairs, self.texts = phase, pairs, texts
        self.tokenizer, self.seed, self.world = tokenizer, seed, world
        self.inputs = PairInputs(phase, pairs, tokenizer, seed)

    def __call__(self, step: int) -> dict:
        """The batch of a step; see `Context` for its names."""
        return {"pairs": self._pairs, "texts": self._texts, "both": self._both}[self.phase.data](step)

    def _both(self, step: int) -> dict:
        return {**self._pairs(step), **self._texts(step)}

    def _texts(self, step: int) -> dict:
        phase = self.phase
        num_rows = phase.batch_size if phase.data == "texts" else phase.text_batch_size
        per_worker = max(1, num_rows // self.world)
        rows = data.text_rows_of_step(self.texts, phase.caption_share, per_worker, step, self.seed)
        return data.text_batch(self.texts, rows, self.tokenizer)

    def _pairs(self, step: int) -> dict:
        per_worker = max(1, self.phase.batch_size // self.world)
        rows = self.inputs.rows(step, per_worker)
        towers = (*self.phase.towers, *self.phase.locked)
        batch = data.pair_batch(self.pairs, rows, self.tokenizer, towers)
        batch = self.inputs.complete(batch, rows, step)
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        if "pixels" in batch:
            batch["pixels"] = data.augment(batch["pixels"], self.phase.augment, chance)
        batch["anchors"] = data.draw_anchors(self.pairs, self.phase.num_anchors, chance)
        return batch
