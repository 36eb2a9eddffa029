"""What the tests of training/ share: tiny folders as the steps leave them, a browser. Made once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from toy_training import (
    TINY,
    TINY_VIT,
    noise,
    pair_rows,
    tiny_student,
    write_embedded,
    write_exam,
    write_selection,
)

from tests.browser import Browser, open_browser, why_not
from training import quantize
from training.export import IMAGE, TEXT, export_towers, write_companions
from training.settings import StudentShape
from training.student import Student, image_vectors, load_student


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


@pytest.fixture(scope="session")
def trained(student_folder) -> Student:
    """The saved student."""
    return load_student(student_folder)


@pytest.fixture(scope="session")
def export(trained, student_folder, tmp_path_factory) -> Path:
    """A folder as export_student writes it."""
    folder = tmp_path_factory.mktemp("export")
    export_towers(trained, folder)
    write_companions(trained, student_folder, folder)
    pictures = [noise(seed, (32, 32)) for seed in range(20)]
    pixels = trained.image_processor(pictures, return_tensors="np")["pixel_values"]
    quantize.quantize_image_tower(folder / IMAGE, pixels)
    quantize.quantize_text_tower(folder / TEXT)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser without a window."""
    if reason := why_not():
        pytest.skip(reason)
    with open_browser() as opened:
        yield opened
