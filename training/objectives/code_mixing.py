"""Code-mixed captions: words of one language exchanged for their translations in the other.

As in CoSDA-ML (arXiv 2006.06402) and the code-mixed training of arXiv 2209.02982, but without a bought
dictionary: the lexicon is read off the parallel captions of the data. A Chinese word and an English one
belong together when each is the other's best partner by Dice's coefficient of the captions they are in.
A caption without a known word is followed by its translation instead.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from transformers import PreTrainedTokenizerFast

ENGLISH_WORD = re.compile(r"[A-Za-z]{2,}")
HAN = re.compile(r"[\u3400-\u9fff]+")
MIN_DICE = 0.5
# Two words that met once may have met by chance.
MIN_TOGETHER = 2
MAX_CAPTIONS = 50_000
EXCHANGED_SHARE = 0.5


@dataclass(frozen=True)
class Lexicon:
    """Translations of words, lower-case: `into["en"]` from Chinese, `into["zh"]` from English."""

    into: dict[str, dict[str, str]]

    def __len__(self) -> int:
        return len(self.into["en"])


Span = tuple[int, int]


def english_words(text: str) -> list[Span]:
    """Where its English words stand."""
    return [match.span() for match in ENGLISH_WORD.finditer(text)]


def chinese_words(text: str, tokenizer: PreTrainedTokenizerFast) -> list[Span]:
    """Where its Chinese words stand, as the student's tokenizer cuts them."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [(start, end) for start, end in offsets if HAN.fullmatch(text[start:end])]


def words(text: str, lang: str, tokenizer: PreTrainedTokenizerFast) -> list[Span]:
    """Where its words in a language stand."""
    return chinese_words(text, tokenizer) if lang == "zh" else english_words(text)


def learn_lexicon(captions: Iterable[tuple[str, str]], tokenizer: PreTrainedTokenizerFast) -> Lexicon:
    """Read a lexicon off (Chinese, English) captions of the same images."""
    alone: Counter = Counter()
    together: Counter = Counter()
    entries = set()
    for zh, en in islice(captions, MAX_CAPTIONS):
        han = {zh[start:end] for start, end in chinese_words(zh, tokenizer)}
        english = {en[start:end].lower() for start, end in english_words(en)}
        met = [(one, other) for one in han for other in english]
        alone.update(han | english)
        together.update(met)
        if len(met) == 1:
            entries.add(met[0])
    dice = {
        pair: 2 * count / (alone[pair[0]] + alone[pair[1]])
        for pair, count in together.items()
        # What met once may have met by chance, but for captions of one word: those are a dictionary's.
        if count > 1 or pair in entries
    }
    return _best_partners({pair: value for pair, value in dice.items() if value >= MIN_DICE})


def _best_partners(dice: dict[tuple[str, str], float]) -> Lexicon:
    """Pairs taken from the best on, each word once; equals in order of the words themselves."""
    lexicon: dict[str, dict[str, str]] = {"zh": {}, "en": {}}
    for (zh, en), _ in sorted(dice.items(), key=lambda item: (-item[1], item[0])):
        if zh not in lexicon["en"] and en not in lexicon["zh"]:
            lexicon["en"][zh], lexicon["zh"][en] = en, zh
    return Lexicon(lexicon)


def mix(
    captions: dict[str, str],
    lang: str,
    lexicon: Lexicon,
    tokenizer: PreTrainedTokenizerFast,
    chance: random.Random,
) -> str:
    """The caption in `lang` with about half of its known words, at least one, in the other language."""
    text, other = captions[lang], "en" if lang == "zh" else "zh"
    into = lexicon.into[other]
    known = [span for span in words(text, lang, tokenizer) if text[slice(*span)].lower() in into]
    if not known:
        return f"{text} {captions[other]}"
    sure = chance.choice(known)
    chosen = [span for span in known if span == sure or chance.random() < EXCHANGED_SHARE]
    for start, end in reversed(chosen):
        text = f"{text[:start]} {into[text[start:end].lower()]} {text[end:]}"
    return " ".join(text.split())
