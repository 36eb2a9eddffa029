"""Confusions: the most frequent first, then the surest, with both languages and the teacher's answer."""

import numpy as np
import pytest
from toy_training import COLOURS, HAN, picture

from training.confusions import find_confusions, probabilities
from training.zero_shot import Exam

NAMES = {"en": list(COLOURS), "zh": [HAN[colour] for colour in COLOURS]}


def cosines(*guesses: tuple[int, float]) -> np.ndarray:
    """A row a picture that prefers one class by a margin."""
    rows = np.zeros((len(guesses), len(COLOURS)))
    for row, (guess, margin) in zip(rows, guesses, strict=True):
        row[guess] = margin
    return rows


def exam(*labels: int) -> Exam:
    return Exam([picture(COLOURS[label]) for label in labels], np.array(labels), NAMES, {})


def test_frequent_confusions_come_first_and_show_the_surest_picture():
    student = cosines((1, 0.2), (1, 0.6), (0, 0.5), (3, 0.9), (4, 0.3))
    teacher = cosines((0, 0.5), (2, 0.5), (0, 0.5), (2, 0.5), (4, 0.5))
    first, second = find_confusions(exam(0, 0, 0, 2, 4), student, teacher, 0.1, 9)
    assert (first.truth, first.guess) == ({"en": "red", "zh": "红"}, {"en": "green", "zh": "绿"})
    assert (first.num_confused, first.num_pictures) == (2, 3)
    assert first.probability == pytest.approx(probabilities(student, 0.1)[1, 1])
    assert (first.teacher["en"], first.teacher_right) == ("blue", False)
    assert (second.guess["en"], second.teacher_right) == ("yellow", True)
    assert first.picture.startswith("data:image/png;base64,")


def test_equally_frequent_ones_are_ordered_by_how_sure_it_was():
    student = cosines((1, 0.2), (2, 0.9), (3, 0.5))
    found = find_confusions(exam(0, 0, 0), student, student, 0.1, 2)
    assert [item.guess["en"] for item in found] == ["blue", "yellow"]


def test_who_is_always_right_confuses_nothing():
    assert find_confusions(exam(0, 1), cosines((0, 0.5), (1, 0.5)), cosines((0, 1), (1, 1)), 0.1, 9) == []


def test_probabilities_sum_to_one_however_cold():
    found = probabilities(np.array([[0.1, 0.9], [0.5, 0.5]], np.float32), 1e-4)
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[1].tolist() == [0.5, 0.5]
