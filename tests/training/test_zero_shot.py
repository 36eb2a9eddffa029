"""The zero-shot exam: reading it, scoring it, and a candidate that knows everything."""

import numpy as np
import pytest
from toy_training import COLOURS, HAN, RGB, WIDTH, ToyTeacher, tiny_student, write_exam

from training import zero_shot

SCORES = np.array([[0.1, 0.9, 0.3], [0.5, 0.5, 0.5], [0.2, 0.1, 0.3], [0.4, 0.4, 0.1]])
LABELS = np.array([1, 0, 2, 1])
LAYOUT = (
    "classnames.txt",
    "classnames_zh.txt",
    "zeroshot_classification_templates.txt",
    "zeroshot_classification_templates_zh.txt",
)


def plain_top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    hits = 0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        others = row[:label] + row[label + 1 :]
        hits += sum(other >= row[label] for other in others) < k
    return hits / len(labels)


def test_reads_pictures_labels_names_and_templates(exam_folder):
    exam = zero_shot.read_exam(exam_folder)
    assert exam.labels.tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert [image.getpixel((0, 0)) for image in exam.images] == [*RGB.values()] * 2
    assert exam.names == {"en": list(COLOURS), "zh": list(HAN.values())}
    assert exam.templates == {"en": ["{c}", "a {c} thing"], "zh": ["{c}", "{c}色"]}


@pytest.mark.parametrize("name", LAYOUT)
def test_a_missing_file_is_named(tmp_path, name):
    write_exam(tmp_path / "exam")
    (tmp_path / "exam" / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        zero_shot.read_exam(tmp_path / "exam")


def test_missing_pictures_are_named(tmp_path):
    write_exam(tmp_path / "exam")
    (tmp_path / "exam" / "test" / "0.tar").unlink()
    with pytest.raises(FileNotFoundError, match="test"):
        zero_shot.read_exam(tmp_path / "exam")


@pytest.mark.parametrize(("k", "share"), [(1, 0.5), (2, 0.75), (3, 1.0), (5, 1.0)])
def test_a_tie_counts_against_the_class(k, share):
    assert zero_shot.top_k_accuracy(SCORES, LABELS, k) == share == plain_top_k(SCORES, LABELS, k)


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_top_k_agrees_with_counting(k):
    chance = np.random.default_rng(k)
    scores, labels = chance.integers(0, 5, (200, 10)) / 5, chance.integers(0, 10, 200)
    assert zero_shot.top_k_accuracy(scores, labels, k) == plain_top_k(scores, labels, k)


def test_a_class_is_the_mean_of_its_templates():
    class Encoder:
        def embed_texts(self, texts):
            return np.array([[float(text.startswith("no ")), float("cat" in text), 1] for text in texts])

    found = zero_shot.class_vectors(Encoder(), ["cat", "dog"], ["{c}", "no {c}"])
    expected = np.array([[0.5, 1, 1], [0.5, 0, 1]])
    assert found == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_braces_in_a_class_name_are_harmless():
    class Encoder:
        def embed_texts(self, texts):
            assert texts == ["a {0} {x} thing"]
            return np.ones((1, 2))

    assert zero_shot.class_vectors(Encoder(), ["{0} {x}"], ["a {c} thing"]).shape == (1, 2)


@pytest.mark.parametrize("num_inputs", [1, 64, 65, 130])
def test_batches_are_put_together_in_order(num_inputs):
    inputs = list(range(num_inputs))
    assert zero_shot.in_batches(lambda part: np.array(part)[:, None], inputs)[:, 0].tolist() == inputs


def test_who_knows_everything_gets_everything_right(exam_folder):
    exam = zero_shot.read_exam(exam_folder)
    scores = zero_shot.similarities(ToyTeacher(), exam)
    assert {lang: rows.shape for lang, rows in scores.items()} == {"en": (12, 6), "zh": (12, 6)}
    assert zero_shot.accuracies(scores, exam.labels) == {
        lang: {"top1": 1.0, "top5": 1.0} for lang in ("en", "zh")
    }


def test_who_gives_everything_one_vector_gets_nothing_right(exam_folder):
    class Encoder:
        def prepare_images(self, images):
            return images

        def embed_prepared(self, inputs):
            return np.ones((len(inputs), 1))

        embed_texts = embed_prepared

    exam = zero_shot.read_exam(exam_folder)
    found = zero_shot.accuracies(zero_shot.similarities(Encoder(), exam), exam.labels)
    assert found["en"] == {"top1": 0.0, "top5": 0.0}


@pytest.mark.parametrize(("classes", "top1", "top5"), [(COLOURS, 1 / 6, 5 / 6), (COLOURS[:4], 1 / 4, 1.0)])
def test_chance(tmp_path, classes, top1, top5):
    write_exam(tmp_path, classes)
    exam = zero_shot.read_exam(tmp_path)
    assert zero_shot.chance(exam) == {lang: {"top1": top1, "top5": top5} for lang in ("en", "zh")}


def test_a_student_sits_the_exam(exam_folder):
    exam = zero_shot.read_exam(exam_folder)
    encoder = zero_shot.StudentEncoder(tiny_student())
    scores = zero_shot.similarities(encoder, exam)
    assert encoder.width == WIDTH
    assert all(np.abs(rows).max() <= 1 + 1e-5 for rows in scores.values())
    assert scores["en"][0] == pytest.approx(scores["en"][6], abs=1e-6)


def test_nan_is_no_hit():
    assert zero_shot.top_k_accuracy(np.full((3, 4), np.nan), np.zeros(3, int), 1) == 0
