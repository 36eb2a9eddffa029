"""The loop: schedule, learning, stopping on nonsense, resuming bit for bit, and two workers like one."""

import shutil
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from toy_training import SIDE, WIDTH, all_pairs, shown, sources_of, tiny_student

from training import data
from training.batches import BatchSource
from training.loop import PhaseRun, learning_rate_factor
from training.settings import Phase
from training.student import image_vectors

IMAGE = Phase(
    name="image tower",
    towers=("image",),
    data="pairs",
    terms={"image_feature": 1.0, "image_affinity": 1.0},
    num_steps=6,
    batch_size=8,
    learning_rate=5e-3,
    augment=0.1,
)
TEXT = Phase("text tower", ("text",), "texts", {"text_feature": 1.0, "text_affinity": 1.0}, 6, 8, 5e-3)
BOTH = Phase(
    name="alignment",
    towers=("image", "text"),
    data="both",
    terms={"contrastive": 1.0, "text_feature": 1.0},
    num_steps=6,
    batch_size=8,
    learning_rate=5e-3,
    text_batch_size=4,
)
CONTRAST = Phase("contrast", ("image", "text"), "pairs", {"contrastive": 1.0}, 2, 8, 1e-3, clip_norm=1e9)
FEATURES = replace(CONTRAST, name="features", terms={"image_feature": 1.0, "text_feature": 1.0})


@pytest.fixture
def source(corpus):
    def make(phase: Phase, world: int = 1) -> BatchSource:
        return BatchSource(phase, sources_of(corpus), tiny_student().tokenizer, seed=0, world=world)

    return make


def start(phase: Phase) -> PhaseRun:
    return PhaseRun(phase, tiny_student().model.train(), seed=0)


def take_steps(run: PhaseRun, batches: BatchSource, num: int) -> list[dict]:
    return [run.take_step(batches(run.step)) for _ in range(num)]


def copy_of(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not tensor.equal(after[name])}


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: g++")
def test_a_compiled_run_learns_as_a_plain_one(source):
    losses, models = [], []
    for phase in (BOTH, replace(BOTH, compile=True)):
        run = start(phase)
        losses.append([told["loss"] for told in take_steps(run, source(phase), 3)])
        models.append(copy_of(run.model))
    plain, compiled = losses
    # From the second step on they differ: the compiled run's optimizer of the token table is the dense one.
    assert compiled[0] == pytest.approx(plain[0], rel=1e-4)
    assert compiled[-1] < compiled[0]
    assert models[0].keys() == models[1].keys()


@pytest.mark.parametrize("num_steps", [2, 10, 1_000])
def test_learning_rate_warms_up_and_falls_to_nothing(num_steps):
    factors = [learning_rate_factor(step, num_steps, 0.1) for step in range(num_steps + 1)]
    peak = factors.index(1.0)
    assert factors[: peak + 1] == pytest.approx([(n + 1) / (peak + 1) for n in range(peak + 1)])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-12)
    assert min(factors[:-1]) > 0


def test_a_single_step_is_taken_at_the_full_rate():
    assert learning_rate_factor(0, 1, 0.1) == 1


def test_a_step_tells_its_loss_terms_rate_and_scale(source):
    first, second = take_steps(start(BOTH), source(BOTH), 2)
    assert list(first) == ["loss", "contrastive", "text_feature", "learning_rate", "scale"]
    assert first["loss"] == pytest.approx(first["contrastive"] + first["text_feature"], rel=1e-5)
    assert first["learning_rate"] == BOTH.learning_rate
    assert first["scale"] == pytest.approx(20)
    assert second["scale"] != first["scale"]


@pytest.mark.parametrize("phase", [IMAGE, TEXT], ids=lambda phase: phase.name)
def test_a_tower_learns_what_the_teacher_knows(phase, source):
    longer = replace(phase, num_steps=60, augment=0.0)
    losses = [facts["loss"] for facts in take_steps(start(longer), source(longer), 60)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize(
    ("phase", "frozen"), [(IMAGE, "text"), (TEXT, "vision_model.")], ids=["image", "text"]
)
def test_a_frozen_tower_does_not_move(phase, frozen, source):
    run = start(phase)
    before = copy_of(run.model)
    take_steps(run, source(phase), 3)
    moved = changed(before, run.model.state_dict())
    assert moved
    assert not [name for name in moved if name.startswith((frozen, "temperature"))]


def test_a_loss_that_is_no_number_names_phase_and_step(source):
    run, batches = start(IMAGE), source(IMAGE)
    take_steps(run, batches, 2)
    broken = {**batches(2), "image_vector": torch.full((8, WIDTH), torch.nan)}
    before = copy_of(run.model)
    with pytest.raises(FloatingPointError, match=r"image tower: loss is nan at step 2: .*image_feature"):
        run.take_step(broken)
    weights = {name for name, _ in run.model.named_parameters()}
    assert changed(before, run.model.state_dict()).isdisjoint(weights)


def test_an_unknown_term_is_refused_at_the_start():
    with pytest.raises(ValueError, match="no objective term magic"):
        start(Phase("p", ("image",), "pairs", {"magic": 1.0}, 1, 8, 1e-3))


@pytest.mark.parametrize("phase", [IMAGE, TEXT, BOTH], ids=lambda phase: phase.name)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(phase, source, tmp_path):
    straight, batches = start(phase), source(phase)
    take_steps(straight, batches, 3)
    torch.save(straight.state(), tmp_path / "checkpoint.pt")
    ends = [take_steps(straight, batches, 3)]
    resumed = PhaseRun(phase, tiny_student(seed=1).model.train(), seed=0)
    resumed.restore(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    ends.append(take_steps(resumed, source(phase), 3))
    assert ends[0] == ends[1]
    assert resumed.step == 6
    assert changed(straight.model.state_dict(), resumed.model.state_dict()) == set()


@pytest.mark.parametrize("world", [1, 2, 16])
def test_workers_share_a_batch(world, source):
    batch = source(BOTH, world)(0)
    assert len(batch["image_vector"]) == len(batch["pixels"]) == max(1, 8 // world)
    assert len(batch["text_vector"]) == max(1, 4 // world)


def test_batches_depend_on_the_step_alone(source):
    first, second = source(IMAGE), source(IMAGE)
    first(0)
    assert first(5)["pixels"].equal(second(5)["pixels"])
    assert not first(5)["pixels"].equal(second(6)["pixels"])


def settled_model():
    """A student whose batch norms have seen something: untrained ones let features vanish."""
    model = tiny_student().model.train()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(40):
            image_vectors(model, torch.rand(8, 3, SIDE, SIDE, generator=chance) * 2 - 1)
    return model.eval()


def take_same_steps(phase: Phase, batch: dict, num: int) -> PhaseRun:
    """Some steps on one batch, batch norm by its stored statistics."""
    run = PhaseRun(phase, settled_model(), seed=0)
    for _ in range(num):
        run.take_step(batch)
    return run


def gradients(run: PhaseRun) -> dict[str, torch.Tensor]:
    learned = run.model.named_parameters()
    return {name: item.grad.to_dense() for name, item in learned if item.grad is not None}


def one_of_two(rank: int, folder, batches: list[dict]) -> None:
    """What a spawned worker does: a step with a contrast, then two without."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(gradients(take_same_steps(CONTRAST, batches[rank], 1)), folder / f"{rank}.pt")
    try:
        problem = take_same_steps(FEATURES, batches[rank], 2) and "none"
    except RuntimeError as error:
        problem = str(error)
    (folder / f"{rank}.txt").write_text(problem)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def batch_parts(corpus) -> list[dict]:
    """Two halves of a batch, and the whole."""
    sources, tokenizer = sources_of(corpus), tiny_student().tokenizer
    rows = all_pairs(sources)[:8]
    parts = (rows[:4], rows[4:], rows)
    return [data.pair_batch(shown(sources, part), tokenizer, CONTRAST.towers) for part in parts]


@pytest.fixture(scope="module")
def two_workers(batch_parts, tmp_path_factory):
    """The folder in which two processes have left what they found."""
    folder = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(one_of_two, (folder, batch_parts[:2]), nprocs=2)
    return folder


def test_two_workers_with_half_a_batch_have_the_gradients_of_one_with_all(batch_parts, two_workers):
    expected = gradients(take_same_steps(CONTRAST, batch_parts[2], 1))
    assert {"temperature", "text_projection.weight"} < set(expected)
    for rank in range(2):
        found = torch.load(two_workers / f"{rank}.pt")
        assert set(found) == set(expected)
        for name, gradient in expected.items():
            assert (found[name] - gradient).norm() <= 1e-5 * max(1, gradient.norm()), name


@pytest.mark.parametrize("num_parts", [2, 3, 8])
def test_micro_batches_have_the_loss_and_gradients_of_the_whole_batch(num_parts, batch_parts):
    whole, parts = (
        take_same_steps(replace(CONTRAST, micro_batches=number), batch_parts[2], 1)
        for number in (1, num_parts)
    )
    expected, found = gradients(whole), gradients(parts)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 1e-5 * max(1, gradient.norm()), name


def test_bf16_learns_what_float32_does(source):
    precise, coarse = (
        take_steps(start(phase), source(phase), 60)
        for phase in (replace(BOTH, num_steps=60), replace(BOTH, num_steps=60, precision="bf16"))
    )
    assert precise[0]["loss"] != coarse[0]["loss"]
    assert coarse[0]["loss"] == pytest.approx(precise[0]["loss"], rel=0.02)
    assert coarse[-1]["loss"] < 0.7 * coarse[0]["loss"]


@pytest.mark.parametrize("capable", [True, False])
def test_auto_is_bf16_where_the_processor_has_it(capable, source, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    losses = {
        precision: take_steps(start(phase), source(phase), 1)[0]["loss"]
        for precision in ("auto", "bf16", "float32")
        for phase in [replace(BOTH, precision=precision)]
    }
    assert losses["auto"] == losses["bf16" if capable else "float32"]
    assert losses["bf16"] != losses["float32"]


@pytest.mark.parametrize(
    "wrong", [{"precision": "fp8"}, {"micro_batches": 0}, {"patch_dropout": 1.0}, {"data": "songs"}]
)
def test_a_phase_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="phase 'image tower'"):
        replace(IMAGE, **wrong)


def test_two_workers_need_no_contrast_to_learn_both_towers(two_workers):
    assert (two_workers / "0.txt").read_text() == "none"
