"""Gradient accumulation that keeps the whole contrastive batch (GradCache, arXiv 2101.06983).

A contrast needs the vectors of all rows at once, their activations it does not. So the micro-batches run
forward without gradients, the objective is taken on the vectors of all, and each micro-batch runs forward
again to carry the vectors' gradients to the weights. It costs one more forward pass and saves memory.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Outputs = dict[str, Tensor]


def accumulate(
    towers: nn.Module, batch: dict, num_parts: int, objective: Callable[[Outputs, dict], tuple[Tensor, dict]]
) -> tuple[Outputs, Tensor, dict]:
    """Backward pass of `objective(given, batch)` in `num_parts` micro-batches: (given, loss, its terms).

    Gradients and loss are those of one pass over the whole batch, but for towers that draw at random or
    have batch statistics: those see a micro-batch.
    """
    parts = list(split_inputs(batch, num_parts))
    states = []
    given: list[Outputs] = []
    for part in parts:
        states.append(torch.get_rng_state())
        with torch.no_grad():
            given.append(towers(part))
    whole = _joined(given)
    loss, terms = objective(whole, batch)
    loss.backward()
    for number, (part, state) in enumerate(zip(parts, states, strict=True)):
        # Workers average their gradients once, in the last pass.
        waiting = getattr(towers, "no_sync", contextlib.nullcontext)
        with contextlib.nullcontext() if number + 1 == num_parts else waiting():
            torch.set_rng_state(state)
            _carry_back(towers(part), whole, number, num_parts)
    return whole, loss, terms


def split_inputs(batch: dict, num_parts: int) -> Iterator[dict]:
    """What the towers read of a batch, in parts of nearly equal numbers of rows."""
    inputs = {name: item for name, item in batch.items() if name == "pixels" or name.endswith("_tokens")}
    for number in range(num_parts):
        yield {name: _part(item, number, num_parts) for name, item in inputs.items()}


def _part(item: Tensor | dict, number: int, num_parts: int):
    if isinstance(item, dict):
        return {name: _part(value, number, num_parts) for name, value in item.items()}
    return item.tensor_split(num_parts)[number]


def _joined(given: list[Outputs]) -> Outputs:
    """Vectors of all micro-batches as leaves of their own graph; the scale is the same in all."""
    rows = {name: torch.cat([part[name] for part in given]) for name in given[0] if name != "scale"}
    return {name: item.requires_grad_() for name, item in {**rows, "scale": given[0]["scale"]}.items()}


def _carry_back(part: Outputs, whole: Outputs, number: int, num_parts: int) -> None:
    """Backward pass of one micro-batch from the gradients of its vectors."""
    tensors, gradients = [], []
    for name, output in part.items():
        gradient = whole[name].grad if whole[name].grad is not None else torch.zeros_like(whole[name])
        tensors.append(output)
        gradients.append(gradient / num_parts if name == "scale" else _part(gradient, number, num_parts))
    needed = [pair for pair in zip(tensors, gradients, strict=True) if pair[0].requires_grad]
    torch.autograd.backward(*map(list, zip(*needed, strict=True)))
