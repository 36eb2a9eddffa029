"""What the tests of training/ share: tiny folders as the steps leave them, written once a session."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from toy_training import (
    TINY,
    TINY_VIT,
    pair_rows,
    tiny_student,
    write_embedded,
    write_exam,
    write_selection,
)

from training.settings import StudentShape
from training.student import image_vectors


@dataclass(frozen=True)
class Corpus:
    """24 embedded pairs; the fourth is not selected, and the ninth's English caption is not."""

    embedded: Path
    selection: Path
    rows: list[dict]
    unselected = "000000003"
    unused = ("000000008", "en")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Two threads of torch wait for each other, thirty times slower where others use the cores too."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    place, rows = tmp_path_factory.mktemp("corpus"), pair_rows()
    write_embedded(place / "embedded", rows)
    selected = [row for row in rows if row["key"] != Corpus.unselected]
    write_selection(place / "selection", selected, (Corpus.unused,))
    return Corpus(place / "embedded", place / "selection", rows)


@pytest.fixture(scope="session")
def exam_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exams") / "colours"
    write_exam(folder)
    return folder


@pytest.fixture(scope="session", params=[TINY, TINY_VIT], ids=lambda shape: shape.family)
def shape(request) -> StudentShape:
    """A shape of each family."""
    return request.param


@pytest.fixture
def student(shape):
    return tiny_student(shape=shape)


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory, shape) -> Path:
    """A saved student whose batch norms have seen pictures, as a trained one's have."""
    folder, student = tmp_path_factory.mktemp("trained") / "student", tiny_student(shape=shape)
    student.model.train()
    for seed in range(3):
        torch.manual_seed(seed)
        image_vectors(student.model, torch.rand(8, 3, 32, 32) * 2 - 1)
    student.save(folder)
    return folder
