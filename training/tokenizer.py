"""A WordPiece tokenizer for both languages, made from the captions and texts that were kept.

The vocabulary holds every frequent character, English word pieces, and whole frequent words of both
languages, so that a common word is one token in either. A word is the same token wherever it stands, in the
middle of Chinese too, where no space tells. A Han character that the vocabulary lacks stands alone, so that
the words around it keep their meaning. Texts are normalised within the tokenizer, so that every runtime has
it: compatible forms are one (NFKC: full-width letters, ligatures, decomposed accents), variation selectors
go, letters are lower case. Traditional and simplified characters stay different (training/simplified.py).

Texts are expected in order of frequency or at random. Of more than `MAX_TEXTS` texts an even sample is
learned from, so that memory is bounded however many there are.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE, WordPiece
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, FIRST, LAST, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HAN = re.compile(r"[\u3400-\u9fff]")
HAN_WORD = re.compile(r"[\u3400-\u9fff]{2,4}")
LATIN_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]{2,}")
PIECES_SHARE = 0.1
# Chinese is written without spaces: a run of Han is one word to WordPiece, however long.
MAX_RUN_CHARS = 1_000
# They choose between drawings of a character, as of an emoji in colour or of a Han in its Japanese form.
VARIATION_SELECTORS = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
MAX_ALPHABET = 1_000
# About 1 GB of Wukong's and CC12M's captions while they are counted.
MAX_TEXTS = 2_000_000
# How often a run of two to four Han must occur to count as a word.
MIN_HAN_COUNT = 8


def sample_texts(texts: Iterable[str], max_texts: int = MAX_TEXTS, seed: int = 0) -> tuple[list[str], int]:
    """(at most `max_texts` texts in their order, each as likely as any other; how many there were)."""
    chance, kept, num = random.Random(seed), [], 0
    for num, text in enumerate(texts, 1):
        if num <= max_texts:
            kept.append((num, text))
        elif (place := chance.randrange(num)) < max_texts:
            kept[place] = (num, text)
    return [text for _, text in sorted(kept)], num


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """A lower-casing tokenizer of at most `vocab_size` tokens; texts are cut at `max_tokens`."""
    normalizer = make_normalizer()
    plain = [normalizer.normalize_str(text) for text in sample_texts(texts)[0]]
    tokens = islice(dict.fromkeys(_tokens(plain, vocab_size)), vocab_size)
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


def tokens_per_text(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict[str, float]:
    """Mean number of tokens, both ends included, of texts with Han (`zh`) and without (`en`), none cut."""
    counts: dict[str, list[int]] = {"zh": [], "en": []}
    for text in texts:
        counts["zh" if HAN.search(text) else "en"].append(len(tokenizer(text, truncation=False)["input_ids"]))
    return {lang: sum(rows) / len(rows) for lang, rows in counts.items() if rows}


def unknown_share(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    """The share of tokens, both ends left out, that the vocabulary has no name for; 0 of no texts."""
    found = [token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    return sum(token == tokenizer.unk_token_id for token in found) / max(1, len(found))


def make_normalizer() -> normalizers.Normalizer:
    """What is done to a text before it is cut into tokens: see the module's docstring."""
    return normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex(VARIATION_SELECTORS), ""),
            normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False, strip_accents=False),
        ]
    )


def _word_piece(vocabulary: dict[str, int]) -> Tokenizer:
    """BERT's rules around a vocabulary, but for runs of Han: see the module's docstring."""
    tokenizer = Tokenizer(
        WordPiece(
            vocabulary,
            unk_token=UNKNOWN,
            max_input_chars_per_word=MAX_RUN_CHARS,
            continuing_subword_prefix="",
        )
    )
    tokenizer.normalizer = make_normalizer()
    known = "".join(token for token in vocabulary if re.fullmatch(r"[\u3400-\u9fff]", token))
    unknown = rf"[\u3400-\u9fff&&[^{known}]]" if known else r"[\u3400-\u9fff]"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(unknown), "isolated")]
    )
    ends = [(token, vocabulary[token]) for token in (LAST, FIRST)]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    tokenizer.decoder = decoders.WordPiece(prefix="")
    return tokenizer


def _tokens(texts: list[str], vocab_size: int) -> Iterator[str]:
    """Candidates for the vocabulary, the indispensable ones first; duplicates are the caller's matter."""
    characters = Counter(char for text in texts for char in text if not char.isspace())
    common = [char for char, _ in characters.most_common(vocab_size // 3)]
    yield from chain(SPECIAL, common)
    yield from _word_pieces(texts, int(vocab_size * PIECES_SHARE))
    latin = Counter(word for text in texts for word in LATIN_WORD.findall(text))
    # Where runs of Han are rare, a short text is taken for a word; most short texts are more than one.
    short = dict.fromkeys(text for text in texts if HAN_WORD.fullmatch(text))
    words = chain(_han_pieces(texts, vocab_size // 2), short)
    for pair in zip_longest((word for word, _ in latin.most_common()), words):
        yield from filter(None, pair)


def _word_pieces(texts: list[str], num_pieces: int) -> list[str]:
    """Pieces of words in alphabetic script, the characters first, learned from the texts that have any."""
    alphabetic = (text for text in texts if LATIN_WORD.search(text))
    words = pre_tokenizers.BertPreTokenizer()
    return _pairs_joined(
        alphabetic, words, vocab_size=num_pieces, min_frequency=2, limit_alphabet=MAX_ALPHABET
    )


def _han_pieces(texts: list[str], num_pieces: int) -> Iterator[str]:
    """Frequent runs of two to four Han, the most frequent first: what a list of words would hold."""
    chinese = (text for text in texts if HAN.search(text))
    runs = pre_tokenizers.Split(Regex(r"[^\u3400-\u9fff]+"), "removed")
    pieces = _pairs_joined(
        chinese, runs, vocab_size=num_pieces, min_frequency=MIN_HAN_COUNT, max_token_length=4
    )
    yield from (piece for piece in pieces if HAN_WORD.fullmatch(piece))


def _pairs_joined(texts: Iterable[str], words: pre_tokenizers.PreTokenizer, **options) -> list[str]:
    """What byte-pair encoding makes of the words, by characters: these first, then frequent pairs."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = words
    tokenizer.train_from_iterator(texts, BpeTrainer(show_progress=False, **options))
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)
