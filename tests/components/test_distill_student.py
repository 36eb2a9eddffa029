"""distill_student's tokenizer: what it writes and what it records."""

import pytest

from components.distill_student import _make_tokenizer
from training.settings import StudentShape
from training.tokenizer import load_tokenizer


def test_the_tokenizer_is_written_and_its_facts_are_recorded(tmp_path, capsys):
    texts = ["a red picture", "红色的图片", "red", "红色"] * 3
    facts = _make_tokenizer(iter(texts), StudentShape(image_size=32, vocab_size=200), tmp_path)
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    lengths = facts.pop("tokens_per_text")
    assert facts == {"tokens": len(tokenizer), "texts": 12, "learned_from": 12}
    assert set(lengths) == {"zh", "en"}
    assert lengths["en"] == (5 + 3) / 2
    assert f"tokenizer of {len(tokenizer)} tokens" in "".join(capsys.readouterr())


def test_a_tokenizer_that_is_there_is_not_made_again(tmp_path):
    shape = StudentShape(image_size=32, vocab_size=200)
    facts = _make_tokenizer(["a red picture", "红色的图片"], shape, tmp_path)
    assert _make_tokenizer(iter(lambda: pytest.fail("texts were read"), None), shape, tmp_path) == facts
