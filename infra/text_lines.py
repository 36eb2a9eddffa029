"""The one reader of text files with an item a line: captions, class names, templates, word lists.

A line ends at a line feed, with or without a carriage return before it, and nowhere else. Python's own
`str.splitlines` ends lines at eleven characters, U+2028 and the form feed among them, which captions from the
web contain; its `Path.read_text` ends them at lone carriage returns.
"""

from pathlib import Path


def split_lines(text: str) -> list[str]:
    """The lines of a text without their ends; what follows the last line end counts unless it is empty."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def without_last_blanks(lines: list[str]) -> list[str]:
    """The lines without the blank ones at the end: those before it keep their numbers."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def decode_lines(content: bytes, name: object) -> list[str]:
    """The lines of a UTF-8 text, its byte order mark left out.

    Args:
        name: what the text is called in the error message.

    Raises:
        ValueError: it is not UTF-8; the message has the line.
    """
    try:
        return split_lines(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} of {name} is not UTF-8: {error.reason}; save it as UTF-8") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8; the message has file and line.
    """
    return decode_lines((Path(path) if isinstance(path, str) else path).read_bytes(), path)
