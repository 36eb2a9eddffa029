"""Texts that are asked in traditional Chinese, of a model that has learned simplified characters.

Traditional and simplified forms are different characters to Unicode and to a tokenizer: of a model that has
learned 柠檬, 檸檬 is unknown. `dcclip try` and `dcclip serve` ask it in simplified characters then; whoever
uses the student without dcclip converts texts first, as the model card says.
"""

from functools import cache

import opencc
from transformers import PreTrainedTokenizerBase


def as_learned(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text, or the same in simplified characters where the tokenizer knows those better.

    Better is with fewer unknown tokens, or as many in fewer pieces.
    """
    simple = _converter().convert(text)
    if simple == text:
        return text
    return simple if _effort(simple, tokenizer) < _effort(text, tokenizer) else text


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _effort(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """(unknown tokens, tokens) of a text."""
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens.count(tokenizer.unk_token_id), len(tokens)
