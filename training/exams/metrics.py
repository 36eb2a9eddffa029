"""The figures of a zero-shot exam, each by its own definition. Pure functions on numpy arrays or CPU tensors.

ELEVATER's sets are marked by four different figures (arXiv 2204.08790): accuracy, mean per class accuracy,
11-point interpolated average precision and the area under the ROC curve. Here they are as its toolkit
computes them (Computer-Vision-in-the-Wild/Elevater_Toolkit_IC with the package vision-evaluation).

A figure that has no value is NaN: nothing was scored, a class that must occur does not, or a score that
decides is itself NaN. Where one answer is asked for there are two figures: of equal scores the lower class
number wins, as in the published evaluations, which take the argmax; or a tie counts against the right answer,
which shows what two classes of one name, or a model that gives everything one vector, are worth.
"""

import numpy as np

# What the toolkit multiplies cosines by before its softmax; it is CLIP's own bound.
SCALE = 100.0


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of rows whose class is among the k best; a tie counts against the class, and so does NaN.

    Args:
        scores: (rows, classes).
        labels: class numbers, (rows,).

    Raises:
        ValueError: scores and labels do not fit together.
    """
    return mean_of(top_k_hits(scores, labels, k))


def top_k_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each row's class is among the k best, (rows,) bool; otherwise as `top_k_accuracy`."""
    return _places(*_checked(scores, labels)) < k


def argmax_hits(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> np.ndarray:
    """Whether each row's class is among the k best, (rows,) bool; of equal scores the lower number is better.

    NaN is no hit. Otherwise as `top_k_accuracy`.
    """
    scores, labels = _checked(scores, labels)
    own = scores[np.arange(len(labels)), labels][:, None]
    equal_before = (scores == own) & (np.arange(scores.shape[1]) < labels[:, None])
    return ((~(scores <= own) | equal_before).sum(axis=1) < k) & ~np.isnan(own[:, 0])


def mean_per_class(hits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their rows that are hits, both (rows,)."""
    rows = np.bincount(labels)
    right = np.bincount(labels, weights=hits)
    return mean_of(right[rows > 0] / rows[rows > 0])


def mean_per_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their rows that are right at the first guess.

    What scikit-learn calls balanced accuracy. Arguments and errors as `top_k_accuracy`.
    """
    scores, labels = _checked(scores, labels)
    return mean_per_class(_places(scores, labels) < 1, labels)


def roc_auc(scores: np.ndarray, positives: np.ndarray) -> float:
    """Chance that a positive row scores above a negative one, ties counted half (Mann and Whitney's U).

    Args:
        scores: (rows,).
        positives: true or 1 where a row is positive, (rows,).

    Raises:
        ValueError: the two differ in shape.
    """
    scores, positives = _checked_binary(scores, positives)
    num_positive, num_negative = int(positives.sum()), int((~positives).sum())
    if not num_positive or not num_negative or np.isnan(scores).any():
        return float("nan")
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    # Twice the mean rank of each group of equal scores: whole numbers, so that nothing is rounded before
    # the division.
    doubled = 2 * np.cumsum(sizes) - sizes + 1
    above = int(doubled[group][positives].sum()) - num_positive * (num_positive + 1)
    return above / (2 * num_positive * num_negative)


def eleven_point_precision(scores: np.ndarray, positives: np.ndarray, anchored: bool = True) -> float:
    """11-point interpolated average precision (VOC2007, Everingham et al., IJCV 2010, section 4.2).

    The mean over t = 0, 0.1, ... 1 of the best precision at any recall of at least t. Rows with equal scores
    are retrieved together.

    Args:
        scores: (rows,).
        positives: true or 1 where a row is positive, (rows,).
        anchored: whether the curve begins at recall 0 with precision 1, as scikit-learn's does and
            therefore ELEVATER's published figures do; the devkit of VOC2007 has no such point.

    Raises:
        ValueError: the two differ in shape.
    """
    scores, positives = _checked_binary(scores, positives)
    num_positive = int(positives.sum())
    if not num_positive or np.isnan(scores).any():
        return float("nan")
    _, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    found = np.cumsum(np.bincount(group, weights=positives, minlength=len(sizes)).astype(np.int64))
    precision = found / np.cumsum(sizes)
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall of at least t/10 in whole numbers: a float may miss 0.3 by a hair.
    points = best_from[np.searchsorted(10 * found, np.arange(11) * num_positive)]
    if anchored:
        points[0] = 1.0
    return float(points.mean())


def mean_eleven_point_precision(scores: np.ndarray, labels: np.ndarray, anchored: bool = True) -> float:
    """Mean of `eleven_point_precision` over the classes of a set with several labels a row.

    Args:
        scores: (rows, classes).
        labels: (rows, classes), above 0 where a class is there. VOC2007's "difficult" objects are 0 or -1:
            the toolkit takes a class that is only there as a difficult object for absent.

    Raises:
        ValueError: the two differ in shape.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} should be (rows, classes) both")
    columns = range(scores.shape[1])
    return mean_of([eleven_point_precision(scores[:, at], labels[:, at] > 0, anchored) for at in columns])


def probabilities(cosines: np.ndarray) -> np.ndarray:
    """Softmax of 100 times the cosines along the classes, (rows, classes) in float64.

    The toolkit's average precision and ROC curve rank rows by these and not by cosines. In float64, for in
    float32 the confident rows would all tie at 1.
    """
    logits = SCALE * np.asarray(cosines, np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return odds / odds.sum(axis=1, keepdims=True)


def _places(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many other classes are not below a row's own."""
    own = scores[np.arange(len(labels)), labels][:, None]
    return (~(scores < own)).sum(axis=1) - 1


def mean_of(values) -> float:
    """The mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def _checked(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores {scores.shape} should be (rows, classes) and labels {labels.shape} (rows,)")
    if not len(labels):
        return scores, labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels should be whole numbers, not {labels.dtype}")
    if not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, but {scores.shape[1]} classes")
    return scores, labels


def _checked_binary(scores, positives) -> tuple[np.ndarray, np.ndarray]:
    scores, positives = np.asarray(scores), np.asarray(positives) > 0
    if scores.ndim != 1 or scores.shape != positives.shape:
        raise ValueError(f"scores {scores.shape} and positives {positives.shape} should be (rows,) both")
    return scores, positives
