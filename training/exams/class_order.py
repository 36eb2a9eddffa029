"""Which class of an exam a data set's label means.

The same data set comes with its classes in several orders: of ELEVATER's sets as clip_benchmark packs them,
Caltech101 has 67 of its 102 classes at other numbers, CIFAR-100 nearly all. So labels are matched by name.
"""

import numpy as np

from training.exams.class_folders import BY_NAME, BY_NUMBER, BY_WORDNET, match_folders, numbers_of
from training.exams.layout import NAMES, ExamError
from training.exams.plain_names import plain_name


def order_of(found: tuple[str, ...] | None, classes: tuple) -> tuple[np.ndarray, str]:
    """(the exam's class number for each label of the data set, how that was found).

    Args:
        found: the data set's class names in the order of its labels, None where it does not tell: then its
            numbers are taken for the exam's.
        classes: the exam's, each a name or a tuple of synonyms.

    Raises:
        ExamError: a name is not among the exam's classes.
    """
    if found is None:
        return np.arange(len(classes)), BY_NUMBER
    if len(found) > len(classes):
        raise ExamError(f"the set has {len(found)} classes, the exam only {len(classes)}")
    places: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        for spelling in dict.fromkeys(plain_name(item) for item in spellings(name)):
            places.setdefault(spelling, []).append(number)
    # Of two classes with one name, the first met is the first.
    order = [(places.get(plain_name(name)) or [None]).pop(0) for name in found]
    unknown = [name for name, number in zip(found, order, strict=True) if number is None]
    if not unknown and len(set(order)) < len(order):
        raise ExamError("two of the set's class names are synonyms of one class of the exam")
    if not unknown:
        return np.array(order), BY_NAME
    if numbers := numbers_of(found, len(classes)):
        return np.array(numbers), BY_NUMBER
    if (wordnet := match_folders(list(found), tuple(map(first_name, classes)))) is not None:
        return np.array(wordnet), BY_WORDNET
    raise ExamError(
        f"{len(unknown)} of {len(found)} class names are not the exam's, the first is {unknown[0]!r}; write "
        f"the exam's names into the set's {NAMES}.txt, a line a label in the order of the labels"
    )


def first_name(name: str | tuple[str, ...]) -> str:
    """The first of synonyms, which alone is asked for, as in ELEVATER's toolkit."""
    return name if isinstance(name, str) else name[0]


def spellings(name: str | tuple[str, ...]) -> list[str]:
    """A class's names, each alone and all in a row (clip_benchmark writes lists of synonyms so)."""
    return [name] if isinstance(name, str) else [*name, " ".join(name)]
