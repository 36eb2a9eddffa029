"""An ensemble of teachers: its cosine is the weighted mean of theirs."""

import numpy as np
import pytest
from test_hf_teacher import make_altclip, make_clip, saved
from toy_training import noise, picture

from training.ensemble import EnsembleTeacher, save_ensemble_card
from training.teacher import Teacher, load_teacher

IMAGES, TEXTS = [picture("red"), noise(0), noise(1)], ["红色的图片", "a red picture"]


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> list[Teacher]:
    """Two teachers of different classes."""
    folders = [saved(make, tmp_path_factory.mktemp(make.__name__)) for make in (make_clip, make_altclip)]
    return [load_teacher(folder) for folder in folders]


def cosines(teacher: Teacher) -> np.ndarray:
    return teacher.embed_images(IMAGES) @ teacher.embed_texts(TEXTS).T


@pytest.mark.parametrize("weights", [[1.0, 1.0], [3.0, 1.0], [0.2, 0.5]])
def test_a_cosine_is_the_weighted_mean_of_the_members(members, weights):
    expected = np.average([cosines(member) for member in members], axis=0, weights=weights)
    assert cosines(EnsembleTeacher(members, weights)) == pytest.approx(expected, abs=1e-6)


def test_vectors_are_units_as_wide_as_all_members_together(members):
    teacher = EnsembleTeacher(members, [2.0, 1.0])
    for vectors in (teacher.embed_images(IMAGES), teacher.embed_texts(TEXTS)):
        assert vectors.shape[1] == teacher.width == sum(member.width for member in members)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_opens_from_its_directory(members, tmp_path):
    for name, make in (("0", make_clip), ("1", make_altclip)):
        (tmp_path / name).mkdir()
        saved(make, tmp_path / name).rename(tmp_path / f"member{name}")
    save_ensemble_card(tmp_path, ["member0", "member1"], [3.0, 1.0])
    teacher = load_teacher(tmp_path)
    expected = np.average([cosines(member) for member in teacher.members], axis=0, weights=[3, 1])
    assert cosines(teacher) == pytest.approx(expected, abs=1e-6)
