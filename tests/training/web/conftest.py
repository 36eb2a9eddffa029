"""An exported toy student, built into a page, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_training import noise

from tests.browser import Browser, open_browser, why_not
from training import quantize
from training.export import IMAGE, TEXT, export_towers, write_companions
from training.student import Student, load_student
from training.web.build import BuildError, build_page, fetch_vendor


@pytest.fixture(scope="session")
def toy(student_folder) -> Student:
    return load_student(student_folder)


@pytest.fixture(scope="session")
def export(toy, student_folder, tmp_path_factory) -> Path:
    """A folder as export_student writes it."""
    folder = tmp_path_factory.mktemp("export")
    export_towers(toy, folder)
    write_companions(toy, student_folder, folder)
    pictures = [noise(seed, (32, 32)) for seed in range(20)]
    pixels = toy.image_processor(pictures, return_tensors="np")["pixel_values"]
    quantize.quantize_image_tower(folder / IMAGE, pixels)
    quantize.quantize_text_tower(folder / TEXT)
    return folder


@pytest.fixture(scope="session")
def site(export, tmp_path_factory) -> Path:
    """The page's folder."""
    try:
        fetch_vendor()
    except BuildError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("site")
    build_page(export, folder, fp32=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if reason := why_not():
        pytest.skip(reason)
    with open_browser() as opened:
        yield opened
