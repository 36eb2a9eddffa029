"""A user's own prompt templates and class names: official files of other projects, or files of one's own.

Templates: a text file with one a line, a JSON list, or a JSON dict {set: [templates]}. Class names: a text
file with one a line (Chinese-CLIP's `label_cn.txt`), or a JSON list. The class name's place is `{}`, or `{c}`
as in clip_benchmark. Files are read as data: Python code, as Chinese-CLIP keeps its templates in, is refused,
and README.md tells how to make a text file of it.
"""

import json
import re
from pathlib import Path

from infra.text_lines import decode_lines, without_last_blanks

MAX_FILE_BYTES = 8 << 20
MAX_TEMPLATES = 1000
MAX_CHARACTERS = 500
NOT_CODE = "Templates that are Python code are not run; training/elevater/README.md makes a text file of them"


def read_templates(path: Path, key: str) -> tuple[str, ...]:
    """The templates for the set `key`, with `{}` for the class name; a list or text file is for any set.

    Raises:
        ValueError: the file cannot be read so, is too large or empty, has no templates for the set, or one
            without exactly one place for the class name.
    """
    items = _items(path)
    if isinstance(items, dict):
        if key not in items:
            raise ValueError(f"{path} has no templates for {key!r}; it has {_some(items)}")
        items = items[key]
    templates = _texts(path, items, "templates")
    if len(templates) > MAX_TEMPLATES:
        raise ValueError(f"{path} has {len(templates)} templates for {key!r}, more than {MAX_TEMPLATES}")
    return tuple(_template(path, text) for text in templates)


def read_class_names(path: Path, num_classes: int) -> tuple[str, ...]:
    """Class names in index order. A class with several names, a list in JSON, is known by the first.

    Raises:
        ValueError: the file cannot be read so, is too large or empty, has an empty name or a wrong number.
    """
    items = _items(path)
    if isinstance(items, list):
        items = [item[0] if isinstance(item, list) and item else item for item in items]
    names = _texts(path, items, "class names")
    if len(names) != num_classes:
        raise ValueError(f"{path} has {len(names)} class names, the set has {num_classes} classes")
    return names


def _items(path: Path) -> object:
    """What the file holds: the JSON value, or the lines of a text file."""
    path = Path(path)
    if path.suffix == ".py":
        raise ValueError(f"{path} is a Python file. {NOT_CODE}")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} has more than {MAX_FILE_BYTES >> 20} MiB: no file of names or templates")
    try:
        if path.suffix == ".json":
            return json.loads(data.decode("utf-8-sig"))
        return without_last_blanks(decode_lines(data, path))
    except (ValueError, RecursionError) as error:
        expected = "JSON" if path.suffix == ".json" else "text"
        raise ValueError(f"{path} is not {expected} in UTF-8: {error}") from None


def _texts(path: Path, items: object, what: str) -> tuple[str, ...]:
    """The items as stripped texts, if they are a list of texts of sane length."""
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{path} holds no list of {what}: give one a line, or a JSON list of texts")
    if not items:
        raise ValueError(f"{path} holds no {what}")
    texts = tuple(item.strip() for item in items)
    for number, text in enumerate(texts, 1):
        if not text:
            raise ValueError(f"{path}: {what} number {number} is empty")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"{path}: {what} number {number} has more than {MAX_CHARACTERS} characters")
    return texts


def _template(path: Path, text: str) -> str:
    """The template with `{}`, if it has that one place and no other braces: formats reach into objects."""
    if re.match(r"lambda\b", text):
        raise ValueError(f"{path} holds Python code: {text[:60]}. {NOT_CODE}")
    template = text.replace("{c}", "{}")
    if template.count("{}") != 1 or re.search(r"[{}]", template.replace("{}", "")):
        raise ValueError(f"{path}: a template needs one {{}} where the class name goes, not {text[:60]!r}")
    return template


def _some(items: dict, most: int = 30) -> str:
    names = [str(name)[:60] for name in list(items)[:most]]
    return ", ".join(names) + (" …" if len(items) > most else "")
