"""The training loop of one phase on one worker: batches, objective, gradients, schedule, checkpoints.

It knows neither Ray nor the terms of the objective. Workers are joined by torch.distributed: gradients are
averaged by DistributedDataParallel (the token table's by training.token_gradients), and `gather` shows
contrasts the rows of all workers.
"""

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training import data
from training.losses import nothing
from training.objectives import Context, check_terms, evaluate_terms
from training.objectives.feature_maps import watched_map
from training.objectives.helpers import Helpers, keep_in_range
from training.objectives.inputs import PairInputs
from training.settings import Phase
from training.student import image_vectors, learning_parameters, text_vectors
from training.token_gradients import TokenGradients


class Towers(nn.Module):
    """The student as one module for DistributedDataParallel: a batch in, unit vectors out."""

    def __init__(self, model: nn.Module, adapter: nn.Module | None = None):
        super().__init__()
        self.model = model
        self.adapter = adapter

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """`image`, `zh`, `en`, `text`: those whose input is in the batch; `scale`; `image_map` if adapted."""
        if self.adapter is None:
            return self._vectors(batch)
        with watched_map(self.model.vision_model) as maps:
            given = self._vectors(batch)
        return {**given, "image_map": self.adapter(maps[0])}

    def _vectors(self, batch: dict) -> dict[str, Tensor]:
        given = {"scale": 1 / self.model.temperature}
        if "pixels" in batch:
            given["image"] = image_vectors(self.model, batch["pixels"])
        for name in ("zh", "en", "text"):
            if tokens := batch.get(f"{name}_tokens"):
                given[name] = text_vectors(self.model, tokens["input_ids"], tokens["attention_mask"])
        return given


def gather(rows: Tensor) -> Tensor:
    """Rows of all workers, in order of rank, with gradients to each worker's own."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous()))


def learning_rate_factor(step: int, num_steps: int, warmup_share: float) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warmup = max(1, int(num_steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, num_steps - warmup)))


def make_optimizer(parameters: dict[str, nn.Parameter], phase: Phase) -> torch.optim.Optimizer:
    """AdamW; vectors and scalars (biases, norms, the temperature) do not decay."""
    groups = [
        {"params": [item for item in parameters.values() if item.ndim > 1]},
        {"params": [item for item in parameters.values() if item.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=phase.learning_rate, weight_decay=phase.weight_decay, betas=(0.9, 0.98), fused=True
    )


@dataclass
class PhaseRun:
    """One phase under way: what a checkpoint holds, and what a step needs."""

    phase: Phase
    model: nn.Module
    seed: int
    step: int = 0

    def __post_init__(self):
        check_terms(self.phase.terms)
        learning = learning_parameters(self.model, self.phase.towers)
        if self.phase.locked:
            learning["temperature"] = self.model.temperature
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in learning)
        self._train_locked_towers(False)
        self.helpers = Helpers(self.phase, self.model)
        learning |= self.helpers.parameters()
        self.parameters = list(learning.values())
        self.optimizer = make_optimizer(learning, self.phase)
        self.towers = self.bare_towers = Towers(self.model, self.helpers.adapter)
        self.helpers.begin(self.towers)
        self.token_gradients = None
        if dist.is_initialized() and dist.get_world_size() > 1:
            self.token_gradients = TokenGradients(self.towers)
            # Buffers are batch statistics, and rank 0's are the ones that are kept: nobody waits for them.
            self.towers = nn.parallel.DistributedDataParallel(
                self.towers, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def _train_locked_towers(self, mode: bool) -> None:
        modules = {"image": self.model.vision_model, "text": self.model.text_model}
        for name in self.phase.locked:
            modules[name].train(mode)

    def close(self) -> None:
        """Leave the model as the next phase expects it."""
        self._train_locked_towers(True)

    def state(self) -> dict:
        """Everything that a resumed run needs, as tensors and numbers."""
        return {
            "phase": self.phase.name,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "helpers": self.helpers.state(),
        }

    def restore(self, state: dict) -> None:
        """Go on from `state()`."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.helpers.restore(state["helpers"])

    def take_step(self, batch: dict) -> dict[str, float]:
        """One update; returns the loss, its terms, the learning rate and the scale."""
        rate = self.phase.learning_rate * learning_rate_factor(
            self.step, self.phase.num_steps, self.phase.warmup_share
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.helpers.add_targets(batch)
        given = self.towers(batch)
        loss, terms = evaluate_terms(self.phase.terms, Context(given, batch, gather))
        # Workers wait for a gradient of every parameter that learns, also when no term uses what it gave.
        loss = loss + nothing(*given.values())
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{self.phase.name}: loss is {loss.item()} at step {self.step}: {terms}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.token_gradients:
            self.token_gradients.average(batch)
        nn.utils.clip_grad_norm_(self.parameters, self.phase.clip_norm)
        self.optimizer.step()
        keep_in_range(self.model.temperature)
        self.helpers.follow(self.bare_towers)
        self.step += 1
        return {
            "loss": float(loss.detach()),
            **terms,
            "learning_rate": rate,
            "scale": float(given["scale"].detach()),
        }


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
