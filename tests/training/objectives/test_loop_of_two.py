"""The loop on two real workers with what terms need beside the student, against one worker with all rows."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from test_helpers import ALIGN, LOCKED, MAPS, ToyNetwork
from toy_training import all_pairs, shown, sources_of, tiny_student

from training import data
from training.loop import PhaseRun
from training.objectives import helpers
from training.settings import Phase

# No term looks at the texts here, and their tower learns all the same.
UNUSED = Phase("unused", ("image", "text"), "pairs", {"image_feature": 1.0}, 2, 8, 1e-3)
CUT = [replace(phase, name=f"{phase.name} in parts", micro_batches=2) for phase in (ALIGN, MAPS)]
PHASES = {phase.name: phase for phase in (ALIGN, MAPS, LOCKED, UNUSED, *CUT)}


def gradients_of(phase: Phase, batch: dict) -> dict[str, torch.Tensor]:
    """What two steps leave, batch norm by its stored statistics; the second knows the first's average."""
    torch.manual_seed(0)
    helpers.OnlineTeacher = ToyNetwork
    run = PhaseRun(phase, tiny_student().model.eval(), seed=0)
    for _ in range(2):
        run.take_step(batch)
    learned = {**dict(run.model.named_parameters()), **run.helpers.parameters()}
    return {name: item.grad.to_dense() for name, item in learned.items() if item.grad is not None}


def one_of_two(rank: int, folder, batches: dict[str, list[dict]]) -> None:
    """What a spawned worker does."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {name: gradients_of(phase, batches[name][rank]) for name, phase in PHASES.items()}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def batches(corpus) -> dict[str, list[dict]]:
    """Per phase two halves of a batch, and the whole."""
    sources, tokenizer = sources_of(corpus), tiny_student().tokenizer
    rows = all_pairs(sources)[:8]
    parts = [shown(sources, part) for part in (rows[:4], rows[4:], rows)]
    return {
        name: [data.pair_batch(part, tokenizer, (*phase.towers, *phase.locked)) for part in parts]
        for name, phase in PHASES.items()
    }


@pytest.fixture(scope="module")
def workers(batches, tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(one_of_two, (folder, batches), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", PHASES)
def test_two_workers_have_the_gradients_of_one(name, batches, workers, monkeypatch):
    monkeypatch.setattr(helpers, "OnlineTeacher", ToyNetwork)
    expected = gradients_of(PHASES[name], batches[name][2])
    assert ("adapter.convolution.weight" in expected) == name.startswith("maps")
    for found in workers:
        assert set(found[name]) == set(expected)
        for parameter, gradient in expected.items():
            assert torch.allclose(found[name][parameter], gradient, atol=2e-5), parameter
