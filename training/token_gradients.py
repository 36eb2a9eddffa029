"""The token table's gradient, averaged over workers by the rows that any of them touched.

A batch touches a thousand or so of a vocabulary's rows, and DistributedDataParallel would send them all:
31 MB a step for `nano`, two thirds of a step's time over gloo. The average is the same to the last bit of
float32 addition.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class TokenGradients:
    """Takes `module`'s token table out of DistributedDataParallel's hands; build it before wrapping."""

    def __init__(self, module: nn.Module):
        tables = [(name, child) for name, child in module.named_modules() if name.endswith("word_embeddings")]
        self.tables = [child.weight for _, child in tables if child.weight.requires_grad]
        names = [f"{name}.weight" for name, _ in tables]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, names)
        # What it ignores it does not make equal at the start either.
        for table in self.tables:
            dist.broadcast(table.data, 0)

    def average(self, batch: dict) -> None:
        """Average the tables' gradients in place; every worker must call it after its backward pass."""
        for table in self.tables:
            rows = touched_rows(batch, table)
            gradient = torch.zeros_like(table) if table.grad is None else table.grad
            shared = gradient[rows]
            dist.all_reduce(shared)
            gradient[rows] = shared / dist.get_world_size()
            table.grad = gradient


def touched_rows(batch: dict, table: torch.Tensor) -> torch.Tensor:
    """Numbers of the rows that the batch of any worker looks up, ascending, (num_rows,)."""
    touched = torch.zeros(len(table), dtype=torch.uint8, device=table.device)
    for name, tokens in batch.items():
        if name.endswith("_tokens"):
            touched[tokens["input_ids"]] = 1
    dist.all_reduce(touched, op=dist.ReduceOp.MAX)
    return touched.nonzero().squeeze(1)
