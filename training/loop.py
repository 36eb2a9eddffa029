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

from training.accumulation import accumulate
from training.losses import nothing
from training.objectives import Context, check_terms, evaluate_terms
from training.objectives.helpers import Helpers
from training.patch_dropout import add_patch_dropout
from training.settings import Phase
from training.student import keep_scale_in_range, learning_parameters, scale_parameter
from training.token_gradients import join_gradients, make_sparse, stored, take_from_ddp
from training.towers import Towers, gather


def learning_rate_factor(step: int, num_steps: int, warmup_share: float) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warmup = max(1, int(num_steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, num_steps - warmup)))


def make_optimizers(
    parameters: list[nn.Parameter], tables: list[nn.Parameter], phase: Phase
) -> list[torch.optim.Optimizer]:
    """AdamW; vectors and scalars (biases, norms, the temperature) do not decay, nor do token tables.

    The learning rate is set before every step.
    """
    known = {id(table) for table in tables}
    rest = [item for item in parameters if id(item) not in known]
    groups = [
        {"params": [item for item in rest if item.ndim > 1]},
        {"params": [item for item in rest if item.ndim <= 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, weight_decay=phase.weight_decay, betas=(0.9, 0.98), fused=True)
    # No momentum: a row that is looked up once would take a tenth of its step, and never the rest.
    return [adamw, torch.optim.SparseAdam(tables, betas=(0.0, 0.98))] if tables else [adamw]


def clip_gradients(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients so that their norm is at most `max_norm`; returns what it was."""
    gradients = [stored(item.grad) for item in parameters if item.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factor)
    return norm


@dataclass
class PhaseRun:
    """One phase under way: what a checkpoint holds, and what a step needs."""

    phase: Phase
    model: nn.Module
    seed: int
    step: int = 0

    def __post_init__(self):
        check_terms(self.phase.terms)
        learning = learning_parameters(self.model, self.phase.towers, self.phase.frozen_blocks)
        if self.phase.locked:
            learning |= scale_parameter(self.model)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in learning)
        self._train_locked_towers(False)
        self.helpers = Helpers(self.phase, self.model)
        learning |= self.helpers.parameters()
        self.parameters = list(learning.values())
        # torch.compile knows no sparse gradients.
        self.tables = make_sparse(self.model, sparse=not self.phase.compile)
        self.optimizers = make_optimizers(self.parameters, self.tables, self.phase)
        self.patch_dropout = add_patch_dropout(self.model, self.phase.patch_dropout)
        self.towers = self.bare_towers = Towers(self.model, self.phase.precision, self.helpers.adapter)
        self.helpers.begin(self.towers)
        if self.phase.compile:
            self.towers.compile(dynamic=True)
        if dist.is_initialized() and dist.get_world_size() > 1:
            take_from_ddp(self.towers, self.tables)
            # Buffers are batch statistics, and rank 0's are the ones that are kept: nobody waits for them.
            self.towers = nn.parallel.DistributedDataParallel(
                self.towers, forward_sync_buffers=False, gradient_as_bucket_view=True
            )

    def _train_locked_towers(self, mode: bool) -> None:
        modules = {"image": self.model.vision_model, "text": self.model.text_model}
        for name in self.phase.locked:
            modules[name].train(mode)

    def state(self) -> dict:
        """Everything that a resumed run needs, as tensors and numbers."""
        return {
            "phase": self.phase.name,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "helpers": self.helpers.state(),
        }

    def restore(self, state: dict) -> None:
        """Go on from `state()`."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for optimizer, stored_state in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored_state)
        self.helpers.restore(state["helpers"])

    def take_step(self, batch: dict) -> dict[str, float]:
        """One update; returns the loss, its terms, the learning rate and the scale."""
        rate = self.phase.learning_rate * learning_rate_factor(
            self.step, self.phase.num_steps, self.phase.warmup_share
        )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate
        batch = self.helpers.add_targets(batch)
        given, loss, terms = self._backward(batch)
        join_gradients(self.tables)
        norm = clip_gradients(self.parameters, self.phase.clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"{self.phase.name}: gradients are {norm.item()} at step {self.step}")
        for optimizer in self.optimizers:
            optimizer.step()
        keep_scale_in_range(self.model)
        self.helpers.follow(self.bare_towers)
        self.step += 1
        return {
            "loss": float(loss.detach()),
            **terms,
            "learning_rate": rate,
            "scale": float(given["scale"].detach()),
        }

    def _backward(self, batch: dict) -> tuple[dict[str, Tensor], Tensor, dict[str, float]]:
        """Gradients of a batch: (what the towers gave, the loss, its terms)."""
        if self.phase.micro_batches > 1:
            return accumulate(self.towers, batch, self.phase.micro_batches, self._objective)
        given = self.towers(batch)
        loss, terms = self._objective(given, batch)
        loss.backward()
        return given, loss, terms

    def _objective(self, given: dict[str, Tensor], batch: dict) -> tuple[Tensor, dict[str, float]]:
        loss, terms = evaluate_terms(self.phase.terms, Context(given, batch, gather))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{self.phase.name}: loss is {loss.item()} at step {self.step}: {terms}")
        # Workers wait for a gradient of every parameter that learns, also when no term uses what it gave.
        return loss + nothing(*given.values()), terms

    def close(self) -> None:
        """Leave the model as the next phase expects it."""
        self._train_locked_towers(True)
        for hook in self.patch_dropout:
            hook.remove()
