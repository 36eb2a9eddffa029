"""Helpers in the loop: averages and adapters learn, are saved and resumed; locked towers; temperature."""

from dataclasses import replace

import pytest
import torch
from toy_training import sources_of, tiny_student

from training.batches import BatchSource
from training.loop import PhaseRun
from training.settings import Phase

ALIGN = Phase("alignment", ("image", "text"), "pairs", {"momentum_contrastive": 1.0}, 6, 8, 5e-3)
MAPS = Phase("maps", ("image",), "pairs", {"feature_map": 1.0}, 6, 8, 5e-3, augment=0.1, online_teacher="toy")
LOCKED = Phase("locked", ("text",), "pairs", {"contrastive": 1.0}, 6, 8, 5e-3, locked=("image",))


class ToyNetwork:
    """A teacher in the loop: mean colours of the pixels' quarters, and their squares."""

    num_channels = 6

    def __init__(self, folder, device):
        pass

    def __call__(self, pixels):
        colours = torch.nn.functional.adaptive_avg_pool2d(pixels, 2)
        return torch.cat([colours, colours**2], dim=1)


@pytest.fixture(autouse=True)
def toy_network(monkeypatch):
    monkeypatch.setattr("training.objectives.helpers.OnlineTeacher", ToyNetwork)


@pytest.fixture(scope="module")
def source(corpus):
    def make(phase: Phase) -> BatchSource:
        return BatchSource(phase, sources_of(corpus), tiny_student().tokenizer, seed=0)

    return make


def start(phase: Phase, seed: int = 0) -> PhaseRun:
    return PhaseRun(phase, tiny_student(seed).model.train(), seed=0)


def take_steps(run: PhaseRun, batches: BatchSource, num: int) -> list[dict]:
    facts = []
    for _ in range(num):
        torch.manual_seed(run.step)
        facts.append(run.take_step(batches(run.step)))
    return facts


@pytest.mark.parametrize("phase", [ALIGN, MAPS], ids=lambda phase: phase.name)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(phase, source, tmp_path):
    straight, batches = start(phase), source(phase)
    take_steps(straight, batches, 3)
    torch.save(straight.state(), tmp_path / "checkpoint.pt")
    ends = [take_steps(straight, batches, 3)]
    resumed = start(phase, seed=1)
    resumed.restore(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    ends.append(take_steps(resumed, source(phase), 3))
    assert ends[0] == ends[1]


def test_an_adapter_learns_and_is_no_part_of_the_student(source):
    run = start(MAPS)
    before = run.helpers.adapter.convolution.weight.detach().clone()
    names = set(run.model.state_dict())
    losses = [facts["feature_map"] for facts in take_steps(run, source(MAPS), 6)]
    assert losses[-1] < losses[0]
    assert not run.helpers.adapter.convolution.weight.equal(before)
    assert set(run.model.state_dict()) == names


def test_feature_maps_need_a_teacher():
    with pytest.raises(ValueError, match="phase 'maps': feature_map needs a folder in online_teacher"):
        start(replace(MAPS, online_teacher=""))


def test_the_average_lags_behind(source):
    run = start(ALIGN)
    first = run.model.text_projection.weight.detach().clone()
    take_steps(run, source(ALIGN), 4)
    now = run.model.text_projection.weight.detach()
    slow = run.helpers.momentum.towers.model.text_projection.weight
    assert 0 < (slow - first).norm() < 0.05 * (now - first).norm()


def test_other_terms_need_no_helper(source):
    run = start(replace(ALIGN, terms={"contrastive": 1.0}))
    assert run.helpers.state() == {}
    assert run.helpers.add_targets({"pixels": 1}) == {"pixels": 1}


def test_a_locked_tower_gives_vectors_and_stays_as_it_is(source):
    run = start(LOCKED)
    before = {name: item.clone() for name, item in run.model.state_dict().items()}
    take_steps(run, source(LOCKED), 3)
    moved = {name for name, item in run.model.state_dict().items() if not item.equal(before[name])}
    assert {"text_projection.weight", "temperature"} < moved
    assert not [name for name in moved if name.startswith("vision_model.")]
    run.close()
    assert run.model.vision_model.training


def test_a_clamped_temperature_can_come_back(source):
    phase = replace(ALIGN, terms={"plain_contrastive": 1.0}, learning_rate=1e-3)
    run = start(phase)
    with torch.no_grad():
        run.model.temperature.fill_(0.01)
    scales = [facts["scale"] for facts in take_steps(run, source(phase), 6)]
    assert scales[0] == pytest.approx(100)
    assert scales[-1] < 90
