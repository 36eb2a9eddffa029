"""A WordPiece tokenizer for both languages, made from the captions and texts that were kept.

The vocabulary holds every character, English word pieces, and whole frequent words of both languages, so
that a common word is one token in either. Texts are expected in order of frequency or at random.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest

from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HAN_WORD = re.compile(r"[\u3400-\u9fff]{2,4}")
LATIN_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]{2,}")
PIECES_SHARE = 0.1


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_tokens: int) -> BertTokenizer:
    """A lower-casing tokenizer of at most `vocab_size` tokens; texts are cut at `max_tokens`."""
    lower = [text.lower() for text in texts]
    vocabulary = list(islice(dict.fromkeys(_tokens(lower, vocab_size)), vocab_size))
    return BertTokenizer(
        vocab={token: number for number, token in enumerate(vocabulary)},
        do_lower_case=True,
        strip_accents=False,
        tokenize_chinese_chars=False,
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )


def _tokens(texts: list[str], vocab_size: int) -> Iterator[str]:
    """Candidates for the vocabulary, the indispensable ones first; duplicates are the caller's matter."""
    characters = Counter(char for text in texts for char in text if not char.isspace())
    common = [char for char, _ in characters.most_common(vocab_size // 3)]
    yield from chain(SPECIAL, common, (f"##{char}" for char in common))
    yield from _word_pieces(texts, int(vocab_size * PIECES_SHARE))
    latin = Counter(word for text in texts for word in LATIN_WORD.findall(text))
    # A Chinese text that is a word by itself is taken as one; inside a sentence it may stand after another.
    han = dict.fromkeys(text for text in texts if HAN_WORD.fullmatch(text))
    for word, other in zip_longest((word for word, _ in latin.most_common()), han):
        yield from (token for token in (word, other, other and f"##{other}") if token)


def _word_pieces(texts: list[str], num_pieces: int) -> list[str]:
    """Pieces of words in alphabetic script, learned from the texts that have no Han."""
    trainer = BertWordPieceTokenizer(lowercase=True, strip_accents=False)
    alphabetic = (text for text in texts if LATIN_WORD.search(text))
    trainer.train_from_iterator(alphabetic, vocab_size=num_pieces, min_frequency=2, show_progress=False)
    return sorted(trainer.get_vocab(), key=trainer.get_vocab().get)
