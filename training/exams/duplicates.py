"""Classes of one name, of which ImageNet-1k has some (crane, maillot): no text can tell them apart."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def duplicate_names(names: Sequence[str]) -> dict[str, list[int]]:
    """Class numbers by name, of names that more than one class has; case and width make no other name."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        numbers[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(number)
    return {names[found[0]]: found for found in numbers.values() if len(found) > 1}


def distinct(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """(the different names in their order, which of them each of `names` is)."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return list(places), np.array([places[name] for name in names], np.int64)


def describe(by_language: dict[str, dict[str, list[int]]]) -> str:
    """One line for people: which names are shared by which classes."""
    lines = []
    for lang, found in by_language.items():
        shared = [f"{name!r} is classes {' and '.join(map(str, numbers))}" for name, numbers in found.items()]
        lines.append(f"{lang}: {', '.join(shared)}")
    return "; ".join(lines)
