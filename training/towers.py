"""The student's towers as the loop runs them: one module, its precision, and the rows of all workers."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.objectives.feature_maps import watched_map
from training.student import contrast_scale, image_vectors, text_vectors


class Towers(nn.Module):
    """The student as one module for DistributedDataParallel: a batch in, unit vectors out."""

    def __init__(self, model: nn.Module, precision: str = "float32", adapter: nn.Module | None = None):
        super().__init__()
        self.model = model
        device = next(model.parameters()).device.type
        self.bf16 = precision == "bf16" or (precision == "auto" and multiplies_in_bf16(device))
        self.adapter = adapter

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """`image`, `zh`, `en`, `text`: those whose input is in the batch; `scale`; `image_map` if adapted."""
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16):
            given = self._vectors(batch) if self.adapter is None else self._vectors_and_map(batch)
        return {**given, "scale": contrast_scale(self.model)}

    def _vectors_and_map(self, batch: dict) -> dict[str, Tensor]:
        with watched_map(self.model.vision_model) as maps:
            given = self._vectors(batch)
        return {**given, "image_map": self.adapter(maps[0]).float()}

    def _vectors(self, batch: dict) -> dict[str, Tensor]:
        given = {}
        if "pixels" in batch:
            given["image"] = image_vectors(self.model, batch["pixels"])
        for name in ("zh", "en", "text"):
            if tokens := batch.get(f"{name}_tokens"):
                given[name] = self._text_vectors(**tokens)
        # The unit length of a bf16 vector is off by some thousandths.
        if not self.bf16:
            return given
        return {name: nn.functional.normalize(item.float(), dim=1) for name, item in given.items()}

    def _text_vectors(self, input_ids: Tensor, attention_mask: Tensor, there: Tensor | None = None) -> Tensor:
        """Vectors of all rows; those that have no text are zero and cost nothing."""
        if there is None or there.all():
            return text_vectors(self.model, input_ids, attention_mask)
        rows = torch.zeros(len(there), self.model.config.projection_dim, device=input_ids.device)
        if there.any():
            rows[there] = text_vectors(self.model, input_ids[there], attention_mask[there]).float()
        return rows


def multiplies_in_bf16(device: str) -> bool:
    """Whether a kind of device (`cuda`, `cpu`) has instructions for bf16, or would only emulate them."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def gather(rows: Tensor) -> Tensor:
    """Rows of all workers, in order of rank, with gradients to each worker's own."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    from torch.distributed._functional_collectives import all_gather_single

    return all_gather_single(rows.contiguous(), 0, dist.group.WORLD)
