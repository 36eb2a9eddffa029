"""A WordPiece tokenizer for both languages, made from the captions and texts that were kept.

The vocabulary holds every frequent character, English word pieces, and whole frequent words of both
languages, so that a common word is one token in either. A Han character that it lacks stands alone, so that
the words around it keep their meaning. Texts are expected in order of frequency or at random.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path

from tokenizers import (
    BertWordPieceTokenizer,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, FIRST, LAST, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HAN_WORD = re.compile(r"[\u3400-\u9fff]{2,4}")
LATIN_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]{2,}")
PIECES_SHARE = 0.1
# Chinese is written without spaces: a run of Han is one word to WordPiece, however long.
MAX_RUN_CHARS = 1_000


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """A lower-casing tokenizer of at most `vocab_size` tokens; texts are cut at `max_tokens`."""
    lower = [text.lower() for text in texts]
    tokens = islice(dict.fromkeys(_tokens(lower, vocab_size)), vocab_size)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return PreTrainedTokenizerFast(
        tokenizer_object=_word_piece(vocabulary),
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=FIRST,
        sep_token=LAST,
        mask_token=MASK,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A tokenizer from its directory."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _word_piece(vocabulary: dict[str, int]) -> Tokenizer:
    """BERT's rules around a vocabulary, but for runs of Han: see the module's docstring."""
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=MAX_RUN_CHARS))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=True, handle_chinese_chars=False, strip_accents=False
    )
    known = "".join(token for token in vocabulary if re.fullmatch(r"[\u3400-\u9fff]", token))
    unknown = rf"[\u3400-\u9fff&&[^{known}]]" if known else r"[\u3400-\u9fff]"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(unknown), "isolated")]
    )
    ends = [(token, vocabulary[token]) for token in (LAST, FIRST)]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


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
    """Pieces of words in alphabetic script, learned from the texts that have any."""
    trainer = BertWordPieceTokenizer(lowercase=True, strip_accents=False)
    alphabetic = (text for text in texts if LATIN_WORD.search(text))
    trainer.train_from_iterator(alphabetic, vocab_size=num_pieces, min_frequency=2, show_progress=False)
    return sorted(trainer.get_vocab(), key=trainer.get_vocab().get)
