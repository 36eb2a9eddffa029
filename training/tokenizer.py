"""A WordPiece tokenizer for both languages, trained on the captions that were kept."""

from collections.abc import Iterable

from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_tokens: int) -> BertTokenizer:
    """Lower-cased WordPiece; every Han character stands alone, as in BERT's Chinese models.

    Args:
        texts: any length; read once, in order.
        vocab_size: at most this many tokens, the special ones among them.
        max_tokens: longer texts are cut.
    """
    trainer = BertWordPieceTokenizer(lowercase=True, handle_chinese_chars=True, strip_accents=False)
    trainer.train_from_iterator(
        texts, vocab_size=vocab_size, min_frequency=1, limit_alphabet=vocab_size // 2, show_progress=False
    )
    return BertTokenizer(
        vocab=trainer.get_vocab(),
        do_lower_case=True,
        strip_accents=False,
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )
