"""Token tables: rows that no batch looks up stay, the others learn; dense under torch.compile."""

import pytest
import torch
from toy_training import tiny_student

from training.loop import clip_gradients, make_optimizers
from training.settings import Phase
from training.token_gradients import join_gradients, make_sparse, stored

PHASE = Phase("text tower", ("text",), "texts", {"text_feature": 1.0}, 1, 8, 1.0, clip_norm=0.5)
RATE = 1e-2


@pytest.fixture
def embeddings():
    """The token table of a student, as a module."""
    return tiny_student().model.text_model.embeddings.word_embeddings


def learn(embeddings, tokens: list[int], sparse: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """The table before and after a step on the sum of some rows."""
    tables = make_sparse(torch.nn.ModuleDict({"word_embeddings": embeddings}), sparse)
    before = embeddings.weight.detach().clone()
    embeddings(torch.tensor(tokens)).sum().backward()
    join_gradients(tables)
    for optimizer in make_optimizers([embeddings.weight], tables, PHASE):
        optimizer.param_groups[0]["lr"] = RATE
        optimizer.step()
    return before, embeddings.weight.detach()


def test_only_rows_that_were_looked_up_move(embeddings):
    before, after = learn(embeddings, [7, 9, 7])
    moved = (before != after).any(dim=1).nonzero().squeeze(1)
    assert moved.tolist() == [7, 9]
    # The first step of Adam is the rate, whatever the gradient.
    assert torch.allclose(before[moved] - after[moved], torch.tensor(RATE), rtol=1e-3)


def test_a_row_that_was_looked_up_twice_has_one_gradient(embeddings):
    learn(embeddings, [7, 9, 7])
    gradient = embeddings.weight.grad
    assert gradient.indices().tolist() == [[7, 9]]
    assert gradient.values()[:, 0].tolist() == [2.0, 1.0]


def test_a_dense_table_decays_everywhere(embeddings):
    before, after = learn(embeddings, [7], sparse=False)
    assert not embeddings.weight.grad.is_sparse
    assert (before != after)[9].any()


def test_a_table_that_does_not_learn_is_left_alone(embeddings):
    embeddings.weight.requires_grad_(False)
    assert make_sparse(torch.nn.ModuleDict({"word_embeddings": embeddings}), sparse=True) == []


def test_sparse_gradients_count_in_the_norm_and_are_clipped(embeddings):
    plain = torch.nn.Parameter(torch.zeros(2))
    plain.grad = torch.full((2,), 3.0)
    learn(embeddings, [7, 9])
    parameters = [plain, embeddings.weight]
    width = embeddings.weight.shape[1]
    norm = clip_gradients(parameters, PHASE.clip_norm)
    assert norm == pytest.approx((2 * 9 + 2 * width) ** 0.5)
    assert torch.cat([stored(item.grad).flatten() for item in parameters]).norm() == pytest.approx(0.5)
