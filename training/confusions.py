"""What a student mixes up: the class pairs it confuses most often, with the picture it was surest about."""

from dataclasses import dataclass

import numpy as np

from training.thumbnails import thumbnail
from training.zero_shot import Exam


@dataclass(frozen=True)
class Confusion:
    """Pictures of one class that the student took for another when asked in one language.

    Attributes:
        picture: the one it was surest about, a `data:` address.
        truth: the picture's own class, `guess` what the student said, by language.
        probability: the student's for its guess, among all classes.
        teacher: what the teacher says of the picture, asked in the same language, by language; and whether
            it is right.
        num_confused: how many pictures are confused so, of the `num_pictures` of the class.
    """

    picture: str
    truth: dict[str, str]
    guess: dict[str, str]
    probability: float
    teacher: dict[str, str]
    teacher_right: bool
    num_confused: int
    num_pictures: int


def find_confusions(
    exam: Exam, student: np.ndarray, teacher: np.ndarray, temperature: float, num: int
) -> list[Confusion]:
    """The `num` most frequent confusions in one language, among equals those the student was surest about.

    Args:
        student: its cosines in that language, (images, classes); `teacher` the teacher's.
        temperature: what the student's cosines are divided by to be logits.
    """
    guesses = student.argmax(axis=1)
    sure = probabilities(student, temperature).max(axis=1)
    rows: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(guesses != exam.labels):
        rows.setdefault((exam.labels[row], guesses[row]), []).append(row)
    surest = [max(group, key=sure.__getitem__) for group in rows.values()]
    found = zip(rows.items(), surest, strict=True)
    ranked = sorted(found, key=lambda item: (-len(item[0][1]), -sure[item[1]]))
    return [
        Confusion(
            picture=thumbnail(exam.images[row]),
            truth=_names(exam, truth),
            guess=_names(exam, guess),
            probability=float(sure[row]),
            teacher=_names(exam, teacher[row].argmax()),
            teacher_right=bool(teacher[row].argmax() == truth),
            num_confused=len(group),
            num_pictures=int((exam.labels == truth).sum()),
        )
        for ((truth, guess), group), row in ranked[:num]
    ]


def _names(exam: Exam, number: int) -> dict[str, str]:
    return {lang: names[number] for lang, names in exam.names.items()}


def probabilities(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of cosines over a temperature along the classes, (images, classes) in float64."""
    logits = cosines.astype(np.float64) / temperature
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)
