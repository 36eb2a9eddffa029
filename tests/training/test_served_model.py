"""The served model's own code: what it refuses to load, and a photo taken sideways."""

import io
import shutil
from types import SimpleNamespace

import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from training.served_model import ZeroShotClassifier, opened


@pytest.fixture
def student_copy(student_folder, tmp_path):
    return shutil.copytree(student_folder, tmp_path / "student_copy")


def load(folder) -> None:
    ZeroShotClassifier().load_context(SimpleNamespace(artifacts={"student": str(folder)}))


def test_a_student_that_lacks_weights_is_not_loaded(student_copy):
    load(student_copy)
    weights = load_file(student_copy / "model.safetensors")
    del weights[max(weights)]
    save_file(weights, student_copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1 weights of its model: fetch it again"):
        load(student_copy)


def test_a_student_that_is_cut_off_is_not_loaded(student_copy):
    file = student_copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(Exception, match="incomplete metadata|not fully covered"):
        load(student_copy)


def test_a_photo_is_turned_upright():
    turned, stream = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(stream, "JPEG", exif=turned)
    assert opened(stream.getvalue()).size == (20, 30)
