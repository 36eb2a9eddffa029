"""What some terms need beside student and batch while a phase runs; the loop's only view of it.

The term `momentum_contrastive` needs a slow average of the student, `feature_map` a teacher in the loop and
an adapter that learns. For all other terms a `Helpers` is empty and costs nothing.
"""

from pathlib import Path

from torch import nn

from training.objectives.feature_maps import MapAdapter, OnlineTeacher
from training.objectives.momentum import MomentumStudent
from training.settings import Phase


class Helpers:
    """The helpers of one phase.

    `adapter`, or None, is a module for the towers to hold, so that workers average its gradients.
    """

    def __init__(self, phase: Phase, model: nn.Module):
        self.adapter, self.teacher = None, None
        self.momentum: MomentumStudent | None = None
        if "feature_map" in phase.terms:
            if not phase.online_teacher:
                raise ValueError(f"phase {phase.name!r}: feature_map needs a folder in online_teacher")
            self.teacher = OnlineTeacher(Path(phase.online_teacher), next(model.parameters()).device)
            self.adapter = MapAdapter(model, self.teacher.num_channels)
        self.wants_momentum = "momentum_contrastive" in phase.terms

    def begin(self, towers: nn.Module) -> None:
        """Start from the towers as they are, before they are wrapped."""
        if self.wants_momentum:
            self.momentum = MomentumStudent(towers)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What learns beside the student and is not part of it."""
        return {} if self.adapter is None else dict(self.adapter.named_parameters(prefix="adapter"))

    def add_targets(self, batch: dict) -> dict:
        """The batch with what helpers say of it."""
        added = {}
        if self.momentum:
            added |= self.momentum.targets(batch)
        if self.teacher:
            added["teacher_map"] = self.teacher(batch["pixels"])
        return {**batch, **added}

    def follow(self, towers: nn.Module) -> None:
        """After each step of the (unwrapped) towers."""
        if self.momentum:
            self.momentum.follow(towers)

    def state(self) -> dict:
        """What a checkpoint holds of the helpers."""
        return {name: module.state_dict() for name, module in self._modules().items()}

    def restore(self, state: dict) -> None:
        """Go on from `state()`."""
        for name, module in self._modules().items():
            module.load_state_dict(state[name])

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"adapter": self.adapter, "momentum": self.momentum and self.momentum.towers}
        return {name: module for name, module in modules.items() if module is not None}
