"""One classification set: every picture against every class name, in each language, marked by its own metric.

A class is the normalised mean of its templates' unit vectors (CLIP's prompt ensemble, arXiv 2103.00020); the
score of a picture is its cosine with that. Several models sit a set together, for pictures are decoded once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from infra.console import track
from training.exams import metrics
from training.exams.class_order import first_name, order_of
from training.exams.duplicates import distinct, duplicate_names
from training.exams.embedding import embed_pictures
from training.exams.folders import ExamError, PictureSet
from training.teacher import Teacher
from training.zero_shot import class_vectors

# Prompts whose vectors are in memory at once.
MAX_PROMPTS = 8_192
TIES_WRONG = "ties_wrong"


@dataclass(frozen=True)
class Paper:
    """What is asked of a set, and how it is marked.

    `metric` is a name of `MARKS`. `classes` and `templates` are by language; a class is a name or a tuple of
    synonyms, the languages agree in their order. `known_as` are the names that data sets write, by which
    their labels are matched; without any, a label is the class number. `num_test` is the number of pictures
    in the published test set, None where there is none. `near_chance` marks sets where small models guess.
    """

    key: str
    metric: str
    classes: dict[str, tuple]
    templates: dict[str, tuple[str, ...]]
    known_as: tuple = ()
    num_test: int | None = None
    near_chance: bool = False

    def __post_init__(self):
        if self.metric not in MARKS:
            raise ExamError(f"{self.key}: the metric is one of {', '.join(MARKS)}, not {self.metric!r}")
        if len({len(names) for names in (*self.classes.values(), self.known_as) if names}) != 1:
            raise ExamError(f"{self.key}: the lists of class names differ in length")

    @property
    def num_classes(self) -> int:
        """In each language."""
        return len(next(iter(self.classes.values())))


@dataclass(frozen=True)
class Answers:
    """Cosines (rows, classes) by model and language, and labels (rows,) or (rows, classes)."""

    scores: dict[str, dict[str, np.ndarray]]
    labels: np.ndarray
    num_unreadable: int
    class_order: str


def examine_set(pictures: PictureSet, paper: Paper, encoders: dict[str, Teacher], step: str) -> dict:
    """The set's result: what was measured, and figures by model and language.

    Raises:
        ExamError: the data set does not fit the paper, or none of its pictures can be read.
    """
    answers = answer(pictures, paper, encoders, step)
    mark = MARKS[paper.metric]
    asked = {lang: [first_name(name) for name in classes] for lang, classes in paper.classes.items()}
    shared = {lang: found for lang, names in asked.items() if (found := duplicate_names(names))}
    return {
        "set": paper.key,
        "metric": paper.metric,
        "near_chance": paper.near_chance,
        "num_classes": paper.num_classes,
        "num_images": len(answers.labels),
        "num_expected": paper.num_test,
        "num_unreadable": answers.num_unreadable,
        "class_order": answers.class_order,
        "figures": {
            model: {lang: with_none(mark(scores, answers.labels)) for lang, scores in by_language.items()}
            for model, by_language in answers.scores.items()
        },
        # What most sets have none of.
        **({"duplicate_names": shared} if shared else {}),
        **({"left_out": pictures.left_out} if pictures.left_out else {}),
    }


def answer(pictures: PictureSet, paper: Paper, encoders: dict[str, Teacher], step: str) -> Answers:
    """Scores of every picture that can be read. Errors as `examine_set`."""
    known = pictures.class_names if paper.known_as else None
    order, how = order_of(known, paper.known_as or tuple(range(paper.num_classes)))
    classes = {model: text_classifiers(encoder, paper) for model, encoder in encoders.items()}
    parts = {model: {lang: [] for lang in paper.classes} for model in encoders}
    labels: list = []
    num_unreadable = 0
    with track(step, total=paper.num_test, desc=paper.key, unit=" pictures") as bar:
        for vectors, found, num_left_out in embed_pictures(encoders, pictures.samples()):
            labels += [place_label(label, order, paper.num_classes) for label in found]
            num_unreadable += num_left_out
            for model, rows in vectors.items():
                for lang, columns in classes[model].items():
                    parts[model][lang].append(scores_of(rows, columns))
            bar.update(len(found) + num_left_out)
    if not labels:
        raise ExamError(f"{pictures.folder} has no picture that can be read")
    scores = {
        model: {lang: np.concatenate(part) for lang, part in own.items()} for model, own in parts.items()
    }
    return Answers(scores, _stacked(labels, paper, pictures), num_unreadable, how)


def text_classifiers(encoder: Teacher, paper: Paper) -> dict[str, np.ndarray]:
    """Per language the unit vectors of the classes, (classes, width); two classes of one name have one."""
    found = {}
    for lang, classes in paper.classes.items():
        names, at = distinct([first_name(name) for name in classes])
        templates = list(paper.templates[lang])
        size = max(1, MAX_PROMPTS // len(templates))
        starts = range(0, len(names), size)
        parts = [class_vectors(encoder, names[start : start + size], templates) for start in starts]
        found[lang] = np.concatenate(parts)[at]
    return found


def scores_of(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cosines (rows, classes); equal columns have equal ones to the last bit, however BLAS cuts blocks."""
    different, at = np.unique(columns, axis=0, return_inverse=True)
    return rows @ columns.T if len(different) == len(columns) else (rows @ different.T)[:, at.ravel()]


def place_label(label: int | np.ndarray, order: np.ndarray, num_classes: int) -> int | np.ndarray:
    """A data set's label by the exam's class numbers.

    Raises:
        ExamError: the label names no class.
    """
    if isinstance(label, np.ndarray):
        if label.shape != order.shape:
            raise ExamError(
                f"a picture's labels have the shape {label.shape}, there are {len(order)} classes"
            )
        placed = np.zeros(num_classes, np.int8)
        placed[order] = label > 0
        return placed
    if not 0 <= label < len(order):
        raise ExamError(f"a picture has the label {label}, there are {len(order)} classes")
    return int(order[label])


def _stacked(labels: list, paper: Paper, pictures: PictureSet) -> np.ndarray:
    """All labels as one array, of the shape that the metric is for."""
    several = {isinstance(label, np.ndarray) for label in labels}
    if several != {paper.metric == "11point_mAP"}:
        raise ExamError(
            f"{pictures.folder} has {'several labels' if True in several else 'one label'} a picture, and "
            f"{paper.metric} needs {'one' if paper.metric != '11point_mAP' else 'several, in .npy'}"
        )
    if paper.metric == "roc_auc" and paper.num_classes != 2:
        raise ExamError(f"roc_auc is for two classes, {paper.key} has {paper.num_classes}")
    return np.array(labels)


def with_none(figures: dict[str, float]) -> dict[str, float | None]:
    """NaN, for which JSON has no word, as None."""
    return {name: None if np.isnan(value) else value for name, value in figures.items()}


def _guesses(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """top1, and top5 where there are more classes than that, whatever the set's own metric."""
    ks = (1, 5) if scores.shape[1] > 5 else (1,)
    return {f"top{k}": metrics.mean_of(metrics.argmax_hits(scores, labels, k)) for k in ks}


def _accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    guesses = _guesses(scores, labels)
    strict = _strict(guesses["top1"], scores, labels, metrics.top_k_accuracy, 1)
    return {"figure": guesses["top1"], **strict, **guesses}


def _mean_per_class(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    figure = metrics.mean_per_class(metrics.argmax_hits(scores, labels), labels)
    strict = _strict(figure, scores, labels, metrics.mean_per_class_accuracy)
    return {"figure": figure, **strict, **_guesses(scores, labels)}


def _strict(figure: float, scores: np.ndarray, labels: np.ndarray, measure: Callable, *arguments) -> dict:
    """`ties_wrong`, the figure when a tie counts against the right answer, where that is another figure."""
    strict = measure(scores, labels, *arguments)
    return {} if strict == figure or np.isnan(strict) else {TIES_WRONG: strict}


def _eleven_points(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The toolkit's figure, and what the devkit of VOC2007 would say of the same answers."""
    odds = metrics.probabilities(scores)
    return {
        "figure": metrics.mean_eleven_point_precision(odds, labels),
        "devkit": metrics.mean_eleven_point_precision(odds, labels, anchored=False),
    }


def _area(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    odds = metrics.probabilities(scores)
    return {"figure": metrics.roc_auc(odds[:, 1], labels == 1), **_guesses(scores, labels)}


# By the names that ELEVATER's toolkit gives its metrics.
MARKS: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    "accuracy": _accuracy,
    "mean-per-class": _mean_per_class,
    "11point_mAP": _eleven_points,
    "roc_auc": _area,
}
