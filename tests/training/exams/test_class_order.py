"""Labels of a data set by the exam's numbers."""

import pytest

from training.exams.class_order import BY_NAME, BY_NUMBER, order_of, plain_name
from training.exams.folders import ExamError

CLASSES = ("apple pie", "Côte d'Ivoire", ("happy", "smiling"), "crane", "crane")


@pytest.mark.parametrize(
    ("found", "order"),
    [
        (("apple_pie", "Cote d'Ivoire", "happy", "crane", "crane"), [0, 1, 2, 3, 4]),
        (("CRANE", "smiling", "apple-pie"), [3, 2, 0]),
        (("['happy', 'smiling']",), [2]),
        ((), []),
    ],
)
def test_classes_are_found_by_name(found, order):
    numbers, how = order_of(found, CLASSES)
    assert (numbers.tolist(), how) == (order, BY_NAME)


def test_without_names_numbers_are_taken_for_the_exams():
    numbers, how = order_of(None, CLASSES)
    assert (numbers.tolist(), how) == ([0, 1, 2, 3, 4], BY_NUMBER)


def test_folders_that_are_numbers_are_taken_for_the_exams():
    assert order_of(("00000", "00003", "00004"), CLASSES)[0].tolist() == [0, 3, 4]


def test_digits_are_names_where_the_exam_has_them():
    assert order_of(("1", "0"), ("0", "1")) == (pytest.approx([1, 0]), BY_NAME)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (("apple pie", "pear"), "1 of 2 .* 'pear'"),
        (("7",), "'7'"),
        (("happy", "smiling"), "synonyms"),
        (("apple pie",) * 2, "not the exam's"),
        (("a",) * 6, "6 classes"),
    ],
)
def test_what_cannot_be_placed_is_told(found, words):
    with pytest.raises(ExamError, match=words):
        order_of(found, CLASSES)


@pytest.mark.parametrize(
    ("name", "plain"), [("Polka-Dotted", "polkadotted"), ("柠檬 树", "柠檬树"), ("…", "..."), ("C/V", "cv")]
)
def test_plain_names(name, plain):
    assert plain_name(name) in (plain, name)
