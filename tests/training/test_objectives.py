"""Objectives: every term on batches with captions missing, what it teaches, and how weights add up."""

import pytest
import torch
from torch.nn.functional import normalize

from training.objectives import TERMS, Context, check_terms, evaluate_terms

ROWS, WIDTH = 6, 8
# Which of the student's outputs a term on pairs moves.
TAUGHT = {
    "image_feature": {"image"},
    "text_feature": {"zh", "en"},
    "image_affinity": {"image"},
    "image_contrastive": {"image", "scale"},
    "contrastive": {"image", "zh", "en", "scale"},
}
each_pair_term = pytest.mark.parametrize("term", TAUGHT)


def drawn(rows: int = ROWS) -> torch.Tensor:
    return normalize(torch.randn(rows, WIDTH), dim=1)


def pair_context(has_zh: list[float], has_en: list[float]) -> Context:
    torch.manual_seed(0)
    given = {name: drawn().requires_grad_() for name in ("image", "zh", "en")}
    given["scale"] = torch.tensor(10.0, requires_grad=True)
    batch = {f"{name}_vector": drawn() for name in ("image", "zh", "en")}
    has = {"has_zh": torch.tensor(has_zh), "has_en": torch.tensor(has_en)}
    return Context(given, {**batch, **has, "anchors": drawn(10)}, gather=lambda rows: rows)


def some_missing() -> Context:
    return pair_context([1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 1, 1])


def text_context() -> Context:
    torch.manual_seed(1)
    given = {"text": drawn().requires_grad_(), "scale": torch.tensor(10.0, requires_grad=True)}
    return Context(given, {"text_vector": drawn()}, gather=lambda rows: rows)


def gradients(at: Context, weights: dict[str, float]) -> dict[str, torch.Tensor]:
    evaluate_terms(weights, at)[0].backward()
    return {name: leaf.grad for name, leaf in at.given.items() if leaf.grad is not None}


def test_unknown_term_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="no objective term image_featur; there are image_feature, text"):
        check_terms({"image_featur": 1.0, "contrastive": 1.0})


def test_known_terms_are_accepted():
    assert check_terms(dict.fromkeys(TERMS, 1.0)) is None


@each_pair_term
@pytest.mark.parametrize("has_zh", [[1, 1, 0, 1, 0, 1], [0] * ROWS], ids=["some zh", "no zh"])
def test_terms_are_finite_whatever_captions_are_missing(term, has_zh):
    at = pair_context(has_zh, [1, 0, 1, 1, 1, 1])
    total, values = evaluate_terms({term: 1.0}, at)
    total.backward()
    assert total.shape == ()
    assert values == {term: pytest.approx(float(total))}
    assert float(total) > 0
    assert all(leaf.grad.isfinite().all() for leaf in at.given.values() if leaf.grad is not None)


@each_pair_term
def test_a_batch_without_captions_is_no_accident(term):
    at = pair_context([0] * ROWS, [0] * ROWS)
    total, _ = evaluate_terms({term: 1.0}, at)
    total.backward()
    assert total.isfinite()
    assert all(leaf.grad.isfinite().all() for leaf in at.given.values() if leaf.grad is not None)


@each_pair_term
def test_each_term_teaches_the_vectors_that_it_names(term):
    at = some_missing()
    taught = {name for name, grad in gradients(at, {term: 1.0}).items() if grad.abs().sum() > 0}
    assert taught == TAUGHT[term]
    assert not any(stored.requires_grad for stored in at.batch.values())


@pytest.mark.parametrize("term", ["text_feature", "contrastive"])
def test_absent_captions_teach_nothing(term):
    at = some_missing()
    moved = gradients(at, {term: 1.0})
    for lang in ("zh", "en"):
        rows = moved[lang].abs().sum(dim=1) > 0
        assert rows.tolist() == at.batch[f"has_{lang}"].bool().tolist()


def test_weights_add_up():
    weights = {"image_feature": 2.0, "contrastive": 0.5, "text_feature": 0.25}
    total, values = evaluate_terms(weights, some_missing())
    assert float(total) == pytest.approx(sum(weights[name] * values[name] for name in weights), rel=1e-6)
    assert list(values) == list(weights)


def test_a_student_like_its_teacher_has_nothing_left_to_mimic():
    at = some_missing()
    taught = {name: at.batch[f"{name}_vector"] for name in ("image", "zh", "en")}
    same = Context({**at.given, **taught}, at.batch, at.gather)
    weights = dict.fromkeys(("image_feature", "text_feature", "image_affinity"), 1.0)
    assert float(evaluate_terms(weights, same)[0]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", ["text_feature", "text_affinity"])
def test_terms_of_text_alone(term):
    at = text_context()
    total, _ = evaluate_terms({term: 1.0}, at)
    total.backward()
    assert float(total) > 0
    assert at.given["text"].grad.abs().sum() > 0
    assert at.given["scale"].grad is None


def test_text_beside_pairs_counts_as_a_third_part():
    pairs, texts = some_missing(), text_context()
    both = Context({**pairs.given, **texts.given}, {**pairs.batch, **texts.batch}, lambda rows: rows)
    of_pairs, of_texts, of_both = (
        evaluate_terms({"text_feature": 1.0}, at)[1]["text_feature"] for at in (pairs, texts, both)
    )
    assert of_both == pytest.approx((2 * of_pairs + of_texts) / 3, rel=1e-6)


def test_contrast_is_among_the_rows_of_all_workers():
    def gather(rows):
        return torch.cat([rows, rows.detach().roll(1, dims=-1)])

    at = pair_context([1] * ROWS, [1] * ROWS)
    alone, joined = (
        evaluate_terms({"contrastive": 1.0}, Context(at.given, at.batch, each))[0]
        for each in (at.gather, gather)
    )
    assert float(joined) > float(alone)
