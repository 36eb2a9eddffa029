"""The gate's data set is read by the same rules as published ones, and nothing in it is lost unsaid."""

import numpy as np
import pytest
from toy_training import COLOURS, HAN, ToyTeacher, picture, png, write_exam

from training import examine, shards, zero_shot
from training.exams.folders import ExamError
from training.exams.results import own_notes


@pytest.fixture
def folder(tmp_path):
    write_exam(tmp_path / "gate")
    return tmp_path / "gate"


def add_samples(folder, samples: list[dict]) -> None:
    keyed = [{"__key__": f"x{number}", **sample} for number, sample in enumerate(samples)]
    shards.write_shard(folder / "test" / "1.tar", keyed)


@pytest.mark.parametrize("name", ["classnames.txt", "classnames_zh.txt"])
@pytest.mark.parametrize("before", ["", "first\n", "first\nsecond\n"])
@pytest.mark.parametrize("blank", ["", " \t", "\u3000"])
def test_a_blank_line_is_refused_with_file_and_line(folder, name, before, blank):
    """Dropped, it gave every class after it another number: 30.4% became 3.5%."""
    lines = before.split("\n")[:-1]
    (folder / name).write_text("\n".join([*lines, blank, *COLOURS[len(lines) :]]) + "\n")
    with pytest.raises(ExamError, match=f"line {len(lines) + 1} of .*{name} is empty"):
        zero_shot.read_exam(folder)


def test_blank_lines_at_the_end_change_nothing(folder):
    (folder / "classnames.txt").write_text("\n".join(COLOURS) + "\n\n \n")
    assert zero_shot.read_exam(folder).names["en"] == list(COLOURS)


def test_a_list_that_lacks_a_name_is_refused(folder):
    (folder / "classnames_zh.txt").write_text("\n".join([*HAN.values()][1:]))
    with pytest.raises(ExamError, match="differ in length"):
        zero_shot.read_exam(folder)


def test_a_name_with_a_line_separator_stays_one_class(folder):
    (folder / "classnames.txt").write_bytes("\r\n".join(["red\u2028ish", *COLOURS[1:]]).encode("utf-8-sig"))
    assert zero_shot.read_exam(folder).names["en"] == ["red\u2028ish", *COLOURS[1:]]


def test_what_cannot_be_decoded_is_counted_and_left_out(folder):
    add_samples(folder, [{"png": b"no image", "cls": b"0"}, {"cls": b"1"}, {"tif": b"II*", "cls": b"2"}])
    exam = zero_shot.read_exam(folder)
    assert (len(exam.images), len(exam.labels), exam.num_unreadable) == (12, 12, 3)


@pytest.mark.parametrize("label", [b"6", b"-1", b"", b"red"])
def test_a_label_that_names_no_class_is_refused(folder, label):
    add_samples(folder, [{"png": png(picture("red")), "cls": label}])
    with pytest.raises(ExamError, match="label 6|class number"):
        zero_shot.read_exam(folder)


def test_without_a_readable_image_there_is_no_evaluation(folder):
    (folder / "test" / "0.tar").unlink()
    add_samples(folder, [{"png": b"x", "cls": b"0"}])
    with pytest.raises(ExamError, match="no image that can be read"):
        zero_shot.read_exam(folder)


def test_the_layout_of_class_folders_is_read_too(folder):
    (folder / "test" / "0.tar").unlink()
    for number, colour in enumerate(COLOURS):
        (folder / "test" / str(number)).mkdir()
        picture(colour).save(folder / "test" / str(number) / "a.png")
    exam = zero_shot.read_exam(folder)
    assert zero_shot.accuracies(zero_shot.similarities(ToyTeacher(), exam), exam.labels)["zh"]["top1"] == 1.0


@pytest.fixture
def twins(folder):
    """The last colour takes the name of the one before it, in English."""
    (folder / "classnames.txt").write_text("\n".join([*COLOURS[:5], COLOURS[4]]))
    return folder


class Blind(ToyTeacher):
    """Sees the last colour as the one before."""

    def embed_prepared(self, images):
        last, before = picture(COLOURS[5]).getpixel((0, 0)), picture(COLOURS[4])
        return super().embed_prepared(
            [before if i.getpixel((i.width // 2, 1)) == last else i for i in images]
        )


def test_of_two_classes_of_one_name_the_first_is_taken(twins):
    exam = zero_shot.read_exam(twins)
    scores = zero_shot.similarities(Blind(), exam)
    assert zero_shot.accuracies(scores, exam.labels)["en"] == {"top1": pytest.approx(5 / 6), "top5": 1.0}
    assert exam.duplicate_names == {"en": {COLOURS[4]: [4, 5]}}


def test_duplicate_names_and_what_ties_are_worth_are_beside_the_figure(twins, student_folder, monkeypatch):
    monkeypatch.setattr(examine, "load_teacher", Blind)
    add_samples(twins, [{"cls": b"1"}])
    results, _ = examine.examine_models(twins, twins, student_folder.parent, 1, 1)
    assert results["models"]["teacher"]["en"]["top1"] == pytest.approx(5 / 6)
    assert results["ties_wrong"]["teacher"] == {"en": pytest.approx(4 / 6)}
    assert results["duplicate_names"] == {"en": {COLOURS[4]: [4, 5]}}
    assert results["num_unreadable"] == 1
    shared, left_out = own_notes(results)
    assert f"'{COLOURS[4]}' is classes 4 and 5" in shared and "teacher en 66.67%" in shared
    assert left_out == "Left out: 1 unreadable."


def test_an_evaluation_without_any_of_that_has_no_notes(folder, student_folder, monkeypatch):
    monkeypatch.setattr(examine, "load_teacher", ToyTeacher)
    results, _ = examine.examine_models(folder, folder, student_folder.parent, 1, 1)
    assert own_notes(results) == []


def test_three_classes_of_one_name_come_in_their_order():
    scores = np.array([[0.5, 0.5, 0.5, 0.1], [0.5, 0.4, 0.5, 0.7]], np.float32)
    found = zero_shot.first_above(scores, {"a": [0, 1, 2]})
    assert found[0].argsort()[::-1].tolist() == [0, 1, 2, 3]
    assert found[1].argsort()[::-1].tolist() == [3, 0, 2, 1]
    assert np.abs(found - scores).max() < 1e-6
