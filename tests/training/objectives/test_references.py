"""Terms on pairs against plain numpy in float64, written from the papers' formulas."""

import numpy as np
import pytest
from toy_context import SCALE, cross_entropy, pair_context, plain, softmax

from training.objectives import TERMS
from training.objectives.affinities import TEMPERATURE
from training.objectives.momentum import SOFT_SHARE
from training.objectives.noise_aware import MAX_SMOOTHING

LANGUAGES = ("zh", "en")


def by_language(formula) -> float:
    return float(np.mean([formula(lang) for lang in LANGUAGES]))


def smooth_l1(student, teacher):
    gap = np.abs(student - teacher)
    return np.where(gap < 0.1, gap**2 / 0.2, gap - 0.05).sum(axis=1).mean()


def cosine(student, teacher):
    return 1 - (student * teacher).sum(axis=1).mean()


def symmetric(logits, target, other=None):
    other = target if other is None else other
    return (cross_entropy(logits, target) + cross_entropy(logits.T, other)) / 2


def text_smooth_l1(at):
    return by_language(lambda lang: smooth_l1(plain(at, lang, lang), plain(at, f"{lang}_vector", lang)))


def text_feature(at):
    return by_language(lambda lang: cosine(plain(at, lang, lang), plain(at, f"{lang}_vector", lang)))


def cross_lingual_feature(at):
    both = plain(at, "has_zh") * plain(at, "has_en") > 0
    return cosine(plain(at, "zh")[both], plain(at, "en_vector")[both])


def affinity(at):
    """Cross entropy with the teacher's distribution, less that distribution's own entropy."""

    def of(lang):
        given, wanted = (
            plain(at, image, lang) @ plain(at, text, lang).T / TEMPERATURE
            for image, text in (("image", lang), ("image_vector", f"{lang}_vector"))
        )
        ways = ((given, wanted), (given.T, wanted.T))
        return np.mean(
            [cross_entropy(one, softmax(two)) - cross_entropy(two, softmax(two)) for one, two in ways]
        )

    return by_language(of)


def plain_contrastive(at):
    def of(lang):
        logits = SCALE * plain(at, "image", lang) @ plain(at, lang, lang).T
        return symmetric(logits, np.eye(len(logits)))

    return by_language(of)


def text_contrastive(at):
    def of(lang):
        texts, images = plain(at, lang, lang), plain(at, "image_vector", lang)
        target = (np.eye(len(texts)) + softmax(images @ images.T / 0.07)) / 2
        return symmetric(SCALE * texts @ images.T, target)

    return by_language(of)


def momentum_contrastive(at):
    def of(lang):
        image, text = plain(at, "image", lang), plain(at, lang, lang)
        slow_image, slow_text = plain(at, "momentum_image", lang), plain(at, f"momentum_{lang}", lang)
        slow = SCALE * slow_image @ slow_text.T
        hard = (1 - SOFT_SHARE) * np.eye(len(image))
        to_text = cross_entropy(SCALE * image @ slow_text.T, hard + SOFT_SHARE * softmax(slow))
        to_image = cross_entropy(SCALE * text @ slow_image.T, hard + SOFT_SHARE * softmax(slow.T))
        return (to_text + to_image) / 2

    return by_language(of)


def noise_aware_contrastive(at):
    def of(lang):
        logits = SCALE * plain(at, "image", lang) @ plain(at, lang, lang).T
        target = np.zeros_like(logits)
        for row, noise in enumerate(plain(at, f"{lang}_noise", lang)):
            target[row] = MAX_SMOOTHING * noise / (len(logits) - 1)
            target[row, row] = 1 - MAX_SMOOTHING * noise
        return symmetric(logits, target)

    return by_language(of)


def translation_contrastive(at):
    both = plain(at, "has_zh") * plain(at, "has_en") > 0
    logits = SCALE * plain(at, "zh")[both] @ plain(at, "en")[both].T
    return symmetric(logits, np.eye(len(logits)))


REFERENCES = (
    text_smooth_l1,
    text_feature,
    cross_lingual_feature,
    affinity,
    plain_contrastive,
    text_contrastive,
    momentum_contrastive,
    noise_aware_contrastive,
    translation_contrastive,
)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.__name__)
def test_term_agrees_with_its_formula(reference):
    at = pair_context()
    found = TERMS[reference.__name__](at)
    assert found.item() == pytest.approx(reference(at), abs=1e-7)
