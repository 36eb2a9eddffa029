"""Lines of text files end at line feeds only."""

import re
from pathlib import Path

import pytest

from infra.text_lines import decode_lines, read_lines, split_lines

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("components", "infra", "pipelines", "spark_jobs", "training")
# What Python's splitlines() takes for line ends besides.
OTHERS = "\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85\r"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\na\n\n", ["", "a", ""]),
        ("a\n ", ["a", " "]),
        *((f"a{char}b\nc", [f"a{char}b", "c"]) for char in OTHERS),
    ],
)
def test_a_line_ends_at_a_line_feed(text, lines):
    assert split_lines(text) == lines


def test_a_byte_order_mark_is_no_character(tmp_path):
    (tmp_path / "a.txt").write_bytes("柠檬\r\n\u2028\n".encode("utf-8-sig"))
    assert read_lines(tmp_path / "a.txt") == ["柠檬", "\u2028"]


def test_what_is_not_utf8_is_named_with_its_line():
    with pytest.raises(ValueError, match="line 3 of names.txt is not UTF-8"):
        decode_lines("a\nb\n柠".encode("gbk"), "names.txt")


def test_there_is_no_other_reader_of_lines():
    """Messages of errors may be cut at any line end; files and captions may not."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in PRODUCT
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().split("\n")
        if re.search(r"splitlines\(|readlines\(", line) and not re.search(r"error|reason|message", line)
    ]
    assert found == []
