"""A classification set from its folder to its figures, and the same figures computed another way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from toy_exams import (
    SHAPE_LABELS,
    SHAPES,
    SHAPES_ZH,
    PixelTeacher,
    colour_samples,
    drawn_shape,
    npy,
    write_shapes,
    write_tars,
)
from toy_training import COLOURS, HAN, ToyTeacher, picture, png, tiny_student, unit

from training.exams import classify
from training.exams.classify import MARKS, Paper, examine_set
from training.exams.folders import ExamError, open_set
from training.exams.papers import own_paper
from training.student import image_vectors
from training.zero_shot import StudentEncoder, class_vectors

TEMPLATES = {"en": ("{c}", "a {c} thing"), "zh": ("{c}", "{c}色")}


def paper(metric: str = "accuracy", names: tuple = COLOURS, **options) -> Paper:
    classes = {"en": names, "zh": tuple(HAN[name] for name in names)}
    return Paper("colours", metric, classes, TEMPLATES, known_as=names, **options)


def examine(folder, *arguments, encoder=None, **options) -> dict:
    encoders = {"toy": encoder or ToyTeacher()}
    return examine_set(open_set(folder), paper(*arguments, **options), encoders, "evaluate_student")


def test_who_knows_the_colours_is_right_in_both_languages(tmp_path):
    found = examine(write_tars(tmp_path / "set", colour_samples()), num_test=12, near_chance=True)
    full = {"figure": 1.0, "top1": 1.0, "top5": 1.0}
    assert found == {
        "set": "colours",
        "metric": "accuracy",
        "near_chance": True,
        "num_classes": 6,
        "num_images": 12,
        "num_expected": 12,
        "num_unreadable": 0,
        "class_order": "by_number",
        "figures": {"toy": {"en": full, "zh": full}},
    }


def test_labels_in_another_order_are_matched_by_name(tmp_path):
    names = ("white", "red", "blue", "black", "green", "yellow")
    found = examine(write_tars(tmp_path / "set", colour_samples(names), classnames="\n".join(names)))
    assert found["class_order"] == "by_name"
    assert found["figures"]["toy"]["zh"]["figure"] == 1.0


def test_unreadable_pictures_are_counted_and_left_out(tmp_path):
    samples = [*colour_samples(), {"png": b"no picture", "cls": b"0"}, {"cls": b"1"}]
    found = examine(write_tars(tmp_path / "set", samples))
    assert (found["num_images"], found["num_unreadable"]) == (12, 2)


@pytest.mark.parametrize(
    ("samples", "metric", "words"),
    [
        ([{"png": b"x", "cls": b"0"}], "accuracy", "no picture that can be read"),
        ([{"png": png(picture("red")), "cls": b"6"}], "accuracy", "label 6, there are 6"),
        (colour_samples(), "11point_mAP", "needs several, in .npy"),
        ([{"png": png(picture("red")), "npy": npy([1, 0, 0, 0, 0, 0])}], "accuracy", "needs one"),
        ([{"png": png(picture("red")), "npy": npy([1, 0])}], "11point_mAP", "shape"),
        (colour_samples(), "roc_auc", "two classes"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, samples, metric, words):
    with pytest.raises(ExamError, match=words):
        examine(write_tars(tmp_path / "set", samples), metric)


def test_an_unknown_metric_and_lists_of_different_length_are_refused():
    with pytest.raises(ExamError, match="accuracy, mean-per-class, 11point_mAP, roc_auc, not 'f1'"):
        paper("f1")
    with pytest.raises(ExamError, match="differ in length"):
        Paper("x", "accuracy", {"en": ("a",), "zh": ("一", "二")}, TEMPLATES)


def test_several_labels_a_picture(tmp_path):
    """Two colours side by side; the toy teacher sees the one in the middle."""
    samples = []
    for at, colour in enumerate(COLOURS):
        labels = np.zeros(6)
        labels[at] = 1
        labels[(at + 1) % 6] = -1
        samples.append({"png": png(picture(colour)), "npy": npy(labels)})
    found = examine(write_tars(tmp_path / "set", samples), "11point_mAP")
    assert found["figures"]["toy"]["en"] == {"figure": 1.0, "devkit": 1.0}


def test_a_figure_without_a_value_is_none(tmp_path):
    labels = npy(np.eye(6)[0])
    folder = write_tars(tmp_path / "set", [{"png": png(picture("red")), "npy": labels}])
    assert examine(folder, "11point_mAP")["figures"]["toy"]["en"] == {"figure": None, "devkit": None}


def test_two_classes_by_the_area_under_the_curve(tmp_path):
    folder = write_tars(tmp_path / "set", colour_samples(COLOURS[:2]))
    found = examine(folder, "roc_auc", COLOURS[:2])
    assert found["figures"]["toy"]["zh"] == {"figure": 1.0, "top1": 1.0}


def test_classes_are_embedded_in_parts_of_bounded_size(monkeypatch):
    monkeypatch.setattr(classify, "MAX_PROMPTS", 4)
    found = classify.text_classifiers(ToyTeacher(), paper())
    assert (found["en"] == class_vectors(ToyTeacher(), list(COLOURS), list(TEMPLATES["en"]))).all()


def test_of_synonyms_the_first_is_asked_for():
    asked = Paper("x", "accuracy", {"en": (("red", "crimson"), "green")}, TEMPLATES)
    found = classify.text_classifiers(ToyTeacher(), asked)["en"]
    assert (found == class_vectors(ToyTeacher(), ["red", "green"], list(TEMPLATES["en"]))).all()


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("exams") / "shapes")


def independent_scores(encoder, names, templates) -> tuple[np.ndarray, np.ndarray]:
    """(cosines, labels) by hand: one picture and one prompt at a time."""
    prompts = [[template.replace("{c}", name) for template in templates] for name in names]
    columns = [unit(np.mean([encoder.embed_texts([text])[0] for text in texts], axis=0)) for texts in prompts]
    pictures = [drawn_shape(seed, label) for seed, label in enumerate(SHAPE_LABELS)]
    rows = [encoder.embed_images([image])[0] for image in pictures]
    return np.stack(rows) @ np.stack(columns).T, np.array(SHAPE_LABELS)


def trained_student(shape) -> StudentEncoder:
    """A student whose batch norms have seen pictures."""
    student = tiny_student(shape=shape)
    student.model.train()
    image_vectors(student.model, torch.rand(16, 3, 32, 32))
    return StudentEncoder(student)


@pytest.mark.parametrize("metric", list(MARKS)[:2])
@pytest.mark.parametrize("make", [trained_student, lambda shape: PixelTeacher()], ids=["student", "pixels"])
def test_figures_are_those_of_an_independent_calculation(shapes, shape, make, metric):
    encoder, pictures = make(shape), open_set(shapes)
    asked = own_paper("shapes", pictures, ("en", "zh"), None)
    found = examine_set(pictures, replace(asked, metric=metric), {"s": encoder}, "evaluate_student")
    wanted = {"en": (SHAPES, ["a {c} picture", "{c}"]), "zh": (SHAPES_ZH, ["{c}色的图片", "{c}"])}
    marks = {"accuracy": reference.accuracy_score, "mean-per-class": reference.balanced_accuracy_score}
    for lang, (names, templates) in wanted.items():
        scores, labels = independent_scores(encoder, names, templates)
        guesses = scores.argmax(axis=1)
        assert found["figures"]["s"][lang]["figure"] == pytest.approx(
            marks[metric](labels, guesses), abs=1e-15
        )
        assert found["figures"]["s"][lang]["top1"] == reference.accuracy_score(labels, guesses)
    if make is not trained_student:
        assert len(set(guesses.tolist())) == len(SHAPES)
