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
from training.embedded import Embedded, Pair
from training.objectives.code_mixing import learn_lexicon, mix
from training.objectives.context import LANGUAGES
from training.objectives.hard_negatives import group_rows
from training.objectives.noise_aware import Noise
from training.pair_stream import PairStream
from training.settings import Phase

# Of an image's stored views the first is the picture as it is.
PLAIN_VIEW = 0


class PairInputs:
    """Rows and further inputs of a phase's steps on a worker's pairs."""

    def __init__(
        self,
        phase: Phase,
        pairs: PairStream,
        embedded: Embedded,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
    ):
        self.phase, self.pairs, self.tokenizer, self.seed = phase, pairs, tokenizer, seed
        self.width = embedded.width
        self.noise = {}
        if "noise_aware_contrastive" in phase.terms:
            self.noise = {lang: Noise(torch.tensor(embedded.selection.scores(lang))) for lang in LANGUAGES}
        # Of the first shards and thus the same for all workers, also after a restart.
        self.lexicon = learn_lexicon(embedded.parallel_captions(), tokenizer) if phase.code_mix else None
        self._grouped = functools.lru_cache(maxsize=2)(self._group)

    def rows(self, step: int, batch_size: int) -> list[Pair]:
        """The rows of a step."""
        window = min(self.phase.group_window, self.pairs.num_rows // batch_size)
        if window < 2:
            return self.pairs.rows(step * batch_size, batch_size)
        number, place = divmod(step, window)
        return self._grouped(number, window, batch_size)[place]

    def _group(self, number: int, window: int, batch_size: int) -> list[list[Pair]]:
        # No pair is in a window twice: as its own neighbour it would be the hardest of false negatives.
        rows = self.pairs.distinct(number * window * batch_size, window * batch_size)
        stored = data.collate(rows, [PLAIN_VIEW] * len(rows), self.width)
        texts = normalize(sum(stored.text_vectors.values()), dim=1)
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + 500_009 + number)
        batches = group_rows(stored.image_vectors, texts, batch_size, chance)
        return [[rows[row] for row in batch.tolist()] for batch in batches]

    def complete(self, batch: dict, rows: list[Pair], step: int) -> dict:
        """The batch with what the phase asks for: mixed captions, noise."""
        added = {f"{lang}_noise": _noise(noise, rows, lang) for lang, noise in self.noise.items()}
        if self.lexicon and "zh_tokens" in batch:
            captions = self.mixed_captions(rows, step)
            added |= {
                f"{lang}_tokens": data.caption_tokens(self.tokenizer, texts)
                for lang, texts in captions.items()
            }
        return {**batch, **added}

    def mixed_captions(self, rows: list[Pair], step: int) -> dict[str, list[str]]:
        """Captions per language; of those with a translation, a share of `code_mix` is mixed."""
        chance = random.Random(f"{self.seed} {step}")
        found: dict[str, list[str]] = {lang: [] for lang in LANGUAGES}
        for row in rows:
            captions = {lang: row.captions.get(lang, "") for lang in LANGUAGES}
            for lang, caption in captions.items():
                mixed = all(captions.values()) and chance.random() < self.phase.code_mix
                found[lang].append(
                    mix(captions, lang, self.lexicon, self.tokenizer, chance) if mixed else caption
                )
        return found


def _noise(noise: Noise, rows: list[Pair], lang: str) -> Tensor:
    """How likely each pair is noise; 0 where there is no caption."""
    there = [number for number, row in enumerate(rows) if lang in row.scores]
    found = torch.zeros(len(rows))
    found[there] = noise(torch.tensor([rows[number].scores[lang] for number in there])).float()
    return found
