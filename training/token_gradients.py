"""Token tables learn row by row: a batch looks up a thousand or so of a vocabulary's rows.

Their gradients are sparse, and torch's SparseAdam moves those rows alone. AdamW would go through the table,
its gradient and its moments in every step, a third of a step's time at 96,000 tokens, and
DistributedDataParallel would send all rows.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def make_sparse(module: nn.Module, sparse: bool) -> list[nn.Parameter]:
    """Let the token tables that learn have sparse gradients, or none; returns those that have."""
    learning = [child for _, child in _tables(module) if child.weight.requires_grad]
    for table in learning:
        table.sparse = sparse
    return [table.weight for table in learning if sparse]


def _tables(module: nn.Module) -> list[tuple[str, nn.Embedding]]:
    return [(name, child) for name, child in module.named_modules() if name.endswith("word_embeddings")]


def take_from_ddp(module: nn.Module, tables: list[nn.Parameter]) -> None:
    """Leave tables out of DistributedDataParallel; to be called before `module` is wrapped."""
    ignored = [f"{name}.weight" for name, child in _tables(module) if any(child.weight is t for t in tables)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, ignored)
    # What it ignores it does not make equal at the start either.
    for table in tables:
        dist.broadcast(table.data, 0)


def join_gradients(tables: list[nn.Parameter]) -> None:
    """One entry a row in each gradient, the mean over workers; all call it after their backward pass."""
    for table in tables:
        if dist.is_initialized() and dist.get_world_size() > 1:
            table.grad = _mean_over_workers(table)
        elif table.grad is not None:
            table.grad = table.grad.coalesce()


@torch.no_grad()
def _mean_over_workers(table: nn.Parameter) -> torch.Tensor:
    """The sparse gradient by the rows that any worker looked up; a worker may have looked up none."""
    gradient = _nothing(table) if table.grad is None else table.grad.coalesce()
    own = gradient.indices()[0]
    touched = torch.zeros(len(table), dtype=torch.uint8, device=table.device)
    touched[own] = 1
    dist.all_reduce(touched, op=dist.ReduceOp.MAX)
    rows = touched.nonzero().squeeze(1)
    values = torch.zeros(len(rows), table.shape[1], device=table.device, dtype=gradient.dtype)
    values[torch.searchsorted(rows, own)] = gradient.values()
    dist.all_reduce(values)
    values /= dist.get_world_size()
    return _sparse(rows[None], values, table)


def _nothing(table: nn.Parameter) -> torch.Tensor:
    rows = torch.empty(1, 0, dtype=torch.long, device=table.device)
    return _sparse(rows, table.new_empty(0, table.shape[1]), table)


def _sparse(rows: torch.Tensor, values: torch.Tensor, table: nn.Parameter) -> torch.Tensor:
    """A gradient of the table with these rows, each at most once; not told whether to check, torch warns."""
    return torch.sparse_coo_tensor(rows, values, table.shape, is_coalesced=True, check_invariants=False)


def stored(gradient: torch.Tensor) -> torch.Tensor:
    """The numbers of a gradient, of a sparse one those of its rows; to change them is to change it."""
    return gradient.values() if gradient.is_sparse else gradient
