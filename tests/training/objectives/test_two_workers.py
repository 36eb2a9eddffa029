"""Two real workers with half of the pairs each, captions unevenly among them, against one with all."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from test_objectives import TAUGHT
from toy_context import ROWS, gradients, pair_context

from training.objectives import TERMS, Context
from training.towers import gather


def own_rows(at: Context, rank: int) -> Context:
    """A worker's half of a context, as leaves of its own; scale and anchors are everybody's."""

    def part(name, item):
        shared = name in ("scale", "anchors")
        return item.detach() if shared else item.detach().tensor_split(2)[rank]

    given = {name: part(name, item).clone().requires_grad_() for name, item in at.given.items()}
    return Context(given, {name: part(name, item) for name, item in at.batch.items()}, gather)


def one_of_two(rank: int, folder) -> None:
    """What a spawned worker does: every term's loss and gradients."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {}
    for term in TAUGHT:
        at = own_rows(pair_context(), rank)
        loss = TERMS[term](at)
        found[term] = (loss.detach(), gradients(at, loss))
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(one_of_two, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("term", TAUGHT)
def test_two_workers_give_the_loss_and_gradients_of_one(term, workers):
    at = pair_context()
    loss = TERMS[term](at)
    expected = gradients(at, loss)
    assert torch.stack([found[term][0] for found in workers]).mean().item() == pytest.approx(loss.item())
    for name, gradient in expected.items():
        parts = [found[term][1].get(name, torch.zeros(())) for found in workers]
        # DistributedDataParallel averages: a row's gradient counts half, the scale's is the mean.
        joined = torch.stack(parts).mean(dim=0) if name == "scale" else torch.cat(parts) / 2
        assert torch.allclose(joined, gradient, atol=1e-12), name
        assert name == "scale" or len(joined) == ROWS
