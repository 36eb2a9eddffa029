"""Noise-aware contrast: the less a pair is likely to belong together, the softer its target.

The noise harmonisation of NLIP (arXiv 2212.07086). There a two-component mixture over each pair's loss
tells clean pairs from noisy ones, as networks learn clean pairs first; here the mixture is over the
teacher's stored score of image and caption, which is known before training.
"""

import torch
from torch import Tensor

from training import losses
from training.objectives.context import Context, mean

# The share of the target that a certainly wrong pair gives away.
MAX_SMOOTHING = 0.5


class Noise:
    """How likely a pair of a score is noise: the part in it of the lower of two Gaussians over `scores`."""

    def __init__(self, scores: Tensor):
        from sklearn.mixture import GaussianMixture

        self.mixture = None
        if len(scores.unique()) > 1:
            self.mixture = GaussianMixture(2, random_state=0).fit(scores.double().numpy()[:, None])

    def __call__(self, scores: Tensor) -> Tensor:
        """In [0, 1] for each score; 0 where all scores are the same."""
        if self.mixture is None or not len(scores):
            return torch.zeros_like(scores)
        lower = self.mixture.means_[:, 0].argmin()
        probability = self.mixture.predict_proba(scores.double().numpy()[:, None])[:, lower]
        return torch.from_numpy(probability).to(scores.dtype)


def noise_aware_contrastive(at: Context) -> Tensor:
    """InfoNCE per language whose target gives a part, by the pair's noise, to all other pairs."""
    rows = at.captioned("image", "{}", "{}_noise")
    return mean([noise_aware_info_nce(*each, at.given["scale"]) for each in rows])


def noise_aware_info_nce(image: Tensor, text: Tensor, noise: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE; row i's target is 1 - s at i and s / (n - 1) elsewhere, s its noise times 0.5."""
    if len(image) < 2:
        return losses.nothing(image, text)
    smoothing = (MAX_SMOOTHING * noise)[:, None]
    own = torch.eye(len(image), device=image.device)
    target = own * (1 - smoothing) + (1 - own) * smoothing / (len(image) - 1)
    logits = scale * image @ text.T
    return losses.symmetric_cross_entropy(logits, logits.T, target, target)
