"""What some techniques change in the batches of pairs; the batch source's only view of it.

A phase's `group_window` composes batches of similar pairs, `code_mix` mixes the languages of captions, and
the term `noise_aware_contrastive` needs to know how likely each pair is noise. All of it is a function of
seed and step, so that a resumed run sees what an uninterrupted one would.
"""

import functools
import random

import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerFast

from training import data
from training.objectives.code_mixing import learn_lexicon, mix
from training.objectives.context import LANGUAGES
from training.objectives.hard_negatives import group_rows, window_rows
from training.objectives.noise_aware import noise_probability
from training.settings import Phase

# Of an image's stored views the first is the picture as it is.
PLAIN_VIEW = 0


class PairInputs:
    """Rows and further inputs of a phase's steps on a worker's share of the pairs."""

    def __init__(self, phase: Phase, pairs: data.Pairs, tokenizer: PreTrainedTokenizerFast, seed: int):
        self.phase, self.pairs, self.tokenizer, self.seed = phase, pairs, tokenizer, seed
        self.noise = _noise(pairs) if "noise_aware_contrastive" in phase.terms else {}
        captions = zip(pairs.captions["zh"], pairs.captions["en"], strict=True)
        parallel = (both for both in captions if all(both))
        self.lexicon = learn_lexicon(parallel, tokenizer) if phase.code_mix else None
        self._grouped = functools.lru_cache(maxsize=2)(self._group)

    def rows(self, step: int, batch_size: int) -> Tensor:
        """The rows of a step."""
        window = min(self.phase.group_window, len(self.pairs) // batch_size)
        if window < 2:
            return data.rows_of_step(len(self.pairs), batch_size, step, self.seed)
        number, place = divmod(step, window)
        return self._grouped(number, window, batch_size)[place]

    def _group(self, number: int, window: int, batch_size: int) -> tuple[Tensor, ...]:
        rows, chance = window_rows(len(self.pairs), window * batch_size, number, self.seed)
        texts = normalize(sum(self.pairs.text_vectors[lang][rows] for lang in LANGUAGES), dim=1)
        batches = group_rows(self.pairs.image_vectors[rows, PLAIN_VIEW], texts, batch_size, chance)
        return tuple(rows[batch] for batch in batches)

    def complete(self, batch: dict, rows: Tensor, step: int) -> dict:
        """The batch with what the phase asks for: mixed captions, noise."""
        added = {f"{lang}_noise": values[rows] for lang, values in self.noise.items()}
        if self.lexicon and "zh_tokens" in batch:
            captions = self.mixed_captions(rows, step)
            added |= {
                f"{lang}_tokens": data.tokenize(self.tokenizer, texts) for lang, texts in captions.items()
            }
        return {**batch, **added}

    def mixed_captions(self, rows: Tensor, step: int) -> dict[str, list[str]]:
        """Captions per language; of those with a translation, a share of `code_mix` is mixed."""
        chance = random.Random(f"{self.seed} {step}")
        found: dict[str, list[str]] = {lang: [] for lang in LANGUAGES}
        for row in rows.tolist():
            captions = {lang: self.pairs.captions[lang][row] for lang in LANGUAGES}
            for lang, caption in captions.items():
                mixed = all(captions.values()) and chance.random() < self.phase.code_mix
                found[lang].append(
                    mix(captions, lang, self.lexicon, self.tokenizer, chance) if mixed else caption
                )
        return found


def _noise(pairs: data.Pairs) -> dict[str, Tensor]:
    """Per language how likely each pair is noise; 0 where there is no caption."""
    noise = {}
    for lang in LANGUAGES:
        there = pairs.has[lang] > 0
        scores = (pairs.image_vectors[:, PLAIN_VIEW] * pairs.text_vectors[lang]).sum(dim=1)
        noise[lang] = torch.zeros(len(pairs))
        noise[lang][there] = noise_probability(scores[there])
    return noise
