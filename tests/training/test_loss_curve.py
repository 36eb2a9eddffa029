"""The loss curve of both stages under a fixed seed: the same twice, and that of a stored run.

After a wanted change of the loop, the data or an objective:
`DCCLIP_UPDATE_GOLDEN=1 python -m pytest tests/training/test_loss_curve.py`, and a look at the diff.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from toy_training import sources_of, tiny_student

from training.batches import BatchSource
from training.loop import PhaseRun
from training.settings import Phase

GOLDEN = Path(__file__).parent / "golden" / "loss_curve.json"
UPDATE = "DCCLIP_UPDATE_GOLDEN"
PHASES = (
    Phase(
        "image tower",
        ("image",),
        "pairs",
        {"image_feature": 1.0, "image_affinity": 1.0, "image_contrastive": 0.2},
        num_steps=12,
        batch_size=8,
        learning_rate=5e-3,
        augment=0.1,
    ),
    Phase("text tower", ("text",), "texts", {"text_feature": 1.0, "text_affinity": 1.0}, 12, 8, 5e-3),
    Phase(
        "alignment",
        ("image", "text"),
        "both",
        {"contrastive": 0.2, "image_feature": 1.0, "text_feature": 1.0},
        num_steps=12,
        batch_size=8,
        learning_rate=1e-3,
        text_batch_size=4,
    ),
)


def train(corpus) -> dict[str, list[float]]:
    """The loss of every step by phase, one phase after the other on one student."""
    student, sources = tiny_student(), sources_of(corpus)
    student.model.train()
    curve = {}
    for number, phase in enumerate(PHASES):
        torch.manual_seed(number)
        run = PhaseRun(phase, student.model, number)
        batches = BatchSource(phase, sources, student.tokenizer, number)
        curve[phase.name] = [run.take_step(batches(step))["loss"] for step in range(phase.num_steps)]
        run.close()
    return curve


@pytest.fixture(scope="module")
def curve(corpus) -> dict[str, list[float]]:
    return train(corpus)


def test_a_seed_gives_the_same_curve_twice(corpus, curve):
    assert train(corpus) == curve


def test_the_curve_is_the_stored_one(curve):
    if os.environ.get(UPDATE):
        GOLDEN.write_text(json.dumps(curve, indent=1) + "\n")
    stored = json.loads(GOLDEN.read_text())
    assert list(stored) == list(curve)
    for name, losses in curve.items():
        # Other processors round sums otherwise, and twelve steps make more of it.
        assert losses == pytest.approx(stored[name], rel=2e-3), name
