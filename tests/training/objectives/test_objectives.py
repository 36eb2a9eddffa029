"""Objectives: every term on batches with captions missing, what it teaches, and how weights add up."""

import pytest
import torch
from toy_context import ROWS, gradients, pair_context, text_context

from training.objectives import TERMS, Context, check_terms, evaluate_terms

# Which of the student's outputs a term on pairs moves.
TAUGHT = {
    "image_feature": {"image"},
    "text_feature": {"zh", "en"},
    "image_smooth_l1": {"image"},
    "text_smooth_l1": {"zh", "en"},
    "cross_lingual_feature": {"zh"},
    "image_affinity": {"image"},
    "affinity": {"image", "zh", "en"},
    "image_contrastive": {"image", "scale"},
    "text_contrastive": {"zh", "en", "scale"},
    "contrastive": {"image", "zh", "en", "scale"},
    "plain_contrastive": {"image", "zh", "en", "scale"},
    "momentum_contrastive": {"image", "zh", "en", "scale"},
    "noise_aware_contrastive": {"image", "zh", "en", "scale"},
    "translation_contrastive": {"zh", "en", "scale"},
}
each_pair_term = pytest.mark.parametrize("term", TAUGHT)
# Terms for which a row of a language is taught exactly where its caption is there.
BY_LANGUAGE = sorted(
    name for name, taught in TAUGHT.items() if {"zh", "en"} <= taught and name != "translation_contrastive"
)


def test_every_term_is_tested_here_or_is_of_texts_or_maps():
    assert set(TERMS) - set(TAUGHT) == {"text_affinity", "feature_map"}


def test_unknown_term_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="no objective term image_featur; there are image_feature, text"):
        check_terms({"image_featur": 1.0, "contrastive": 1.0})


def test_known_terms_are_accepted():
    assert check_terms(dict.fromkeys(TERMS, 1.0)) is None


def test_a_term_that_the_phase_does_not_feed_says_what_it_needs():
    with pytest.raises(ValueError, match="the term text_affinity needs 'text_vector', which the phase"):
        evaluate_terms({"text_affinity": 1.0}, pair_context([1] * ROWS))


@each_pair_term
@pytest.mark.parametrize("has_zh", [[1, 1, 0, 1, 0, 1], [0] * ROWS], ids=["some zh", "no zh"])
def test_terms_are_finite_whatever_captions_are_missing(term, has_zh):
    at = pair_context(has_zh, [1, 0, 1, 1, 1, 1])
    total, values = evaluate_terms({term: 1.0}, at)
    total.backward()
    needs_zh = term in ("cross_lingual_feature", "translation_contrastive")
    assert total.shape == ()
    assert values == {term: pytest.approx(total.item())}
    assert (total.item() > 0) == (any(has_zh) or not needs_zh)
    assert all(leaf.grad.isfinite().all() for leaf in at.given.values() if leaf.grad is not None)


@each_pair_term
def test_a_language_without_captions_teaches_nothing(term):
    at = pair_context([0] * ROWS)
    assert not gradients(at, TERMS[term](at)).get("zh", torch.zeros(1)).any()


@pytest.mark.parametrize(
    "term", sorted(TAUGHT.keys() - {"image_feature", "image_smooth_l1", "image_affinity"})
)
def test_a_batch_without_captions_is_zero_with_zero_gradients(term):
    at = pair_context([0] * ROWS, [0] * ROWS)
    loss = TERMS[term](at)
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(at, loss).values())


@each_pair_term
def test_each_term_teaches_the_vectors_that_it_names(term):
    at = pair_context()
    taught = {name for name, grad in gradients(at, TERMS[term](at)).items() if grad.any()}
    assert taught == TAUGHT[term]
    assert not any(stored.requires_grad for stored in at.batch.values())


@pytest.mark.parametrize("term", BY_LANGUAGE)
def test_absent_captions_teach_nothing(term):
    at = pair_context()
    moved = gradients(at, TERMS[term](at))
    for lang in ("zh", "en"):
        assert moved[lang].any(dim=1).tolist() == at.batch[f"has_{lang}"].bool().tolist()


@pytest.mark.parametrize("term", ["cross_lingual_feature", "translation_contrastive"])
def test_pairs_without_a_translation_teach_no_translation(term):
    at = pair_context()
    moved = gradients(at, TERMS[term](at))["zh"].any(dim=1)
    assert moved.tolist() == (at.batch["has_zh"] * at.batch["has_en"]).bool().tolist()


def test_weights_add_up():
    weights = {"image_feature": 2.0, "contrastive": 0.5, "text_feature": 0.25}
    total, values = evaluate_terms(weights, pair_context())
    assert total.item() == pytest.approx(sum(weights[name] * values[name] for name in weights), rel=1e-6)
    assert set(values) == set(weights)


def test_the_order_of_terms_changes_no_bit():
    weights = {"image_feature": 2.0, "contrastive": 0.3, "text_feature": 0.7, "image_affinity": 0.1}
    backwards = dict(reversed(weights.items()))
    (total, values), (other, others) = (evaluate_terms(each, pair_context()) for each in (weights, backwards))
    assert total.equal(other)
    assert list(values.items()) == list(others.items())


def test_a_student_like_its_teacher_has_nothing_left_to_mimic():
    at = pair_context()
    taught = {name: at.batch[f"{name}_vector"] for name in ("image", "zh", "en")}
    same = Context({**at.given, **taught}, at.batch, at.gather)
    names = (
        "image_feature",
        "text_feature",
        "image_smooth_l1",
        "text_smooth_l1",
        "image_affinity",
        "affinity",
    )
    total, _ = evaluate_terms(dict.fromkeys(names, 1.0), same)
    assert total.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", ["text_feature", "text_smooth_l1", "text_affinity"])
def test_terms_of_text_alone(term):
    at = text_context()
    loss = TERMS[term](at)
    assert loss.item() > 0
    moved = gradients(at, loss)
    assert list(moved) == ["text"]
    assert moved["text"].any()


def test_text_beside_pairs_counts_as_a_third_part():
    pairs, texts = pair_context(), text_context()
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
    assert joined.item() > alone.item()
