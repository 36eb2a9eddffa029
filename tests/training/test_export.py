"""Export: ONNX Runtime gives the vectors that torch gives, whatever the batch and the length of text."""

import subprocess
import sys

import numpy as np
import pytest
from toy_training import SIDE, noise

from training.export import export_towers, write_companions
from training.onnx_pair import OnnxEncoder, compare_pair
from training.student import contrast_scale, load_student
from training.zero_shot import StudentEncoder, read_exam

TEXTS = {
    "en": ["red", "a red picture", "a green picture 0123", "blue", "a black and white picture of 456"],
    "zh": ["红", "红色的图片", "绿色的图片 0123", "蓝", "黑色的图片，白色的图片，黄色的图片"],
}


@pytest.fixture(scope="module")
def student(student_folder):
    return load_student(student_folder)


@pytest.fixture(scope="module")
def exported(student, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    export_towers(student, folder)
    return folder


@pytest.fixture(scope="module")
def pair(exported, student):
    return StudentEncoder(student), OnnxEncoder(exported, student)


def assert_same_direction(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.linalg.norm(theirs, axis=1) == pytest.approx(1, abs=1e-4)
    assert (ours * theirs).sum(axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("num_images", [1, 5])
def test_images_agree_with_torch(pair, num_images):
    images = [noise(seed, (30 + seed, 50)) for seed in range(num_images)]
    assert_same_direction(*(encoder.embed_images(images) for encoder in pair))


@pytest.mark.parametrize("lang", TEXTS)
@pytest.mark.parametrize("num_texts", [1, 5])
def test_texts_agree_with_torch(pair, lang, num_texts):
    assert_same_direction(*(encoder.embed_texts(TEXTS[lang][:num_texts]) for encoder in pair))


@pytest.mark.parametrize(
    "text", [text for texts in TEXTS.values() for text in texts] + ["a red picture " * 9]
)
def test_texts_of_every_length_agree_with_torch(pair, text):
    assert_same_direction(*(encoder.embed_texts([text]) for encoder in pair))


def test_the_exam_finds_no_gap(exported, student, exam_folder):
    facts = compare_pair(exported, student, read_exam(exam_folder), int8=False)
    assert set(facts) == {"cosine_gap"}
    assert set(facts["cosine_gap"]) == {"images", "texts"}
    assert max(facts["cosine_gap"].values()) < 1e-5


def test_the_files_say_what_they_take_and_give(exported):
    import onnx

    def shapes(values):
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    image, text = (onnx.load(exported / f"{tower}.onnx").graph for tower in ("image", "text"))
    assert shapes(image.input) == {"pixel_values": ["n", 3, SIDE, SIDE]}
    assert shapes(text.input) == {"input_ids": ["n", "length"], "attention_mask": ["n", "length"]}
    for tower in (image, text):
        ((name, (rows, _)),) = shapes(tower.output).items()
        assert (name, rows) == ("vectors", "n")


# Runs a script in an interpreter where these names cannot be imported.
BLOCKED = (
    "import runpy, sys; sys.modules |= {'torch': None, 'transformers': None, 'infra': None}; "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def test_the_example_answers_as_torch_does_without_torch(student, student_folder, tmp_path):
    export_towers(student, tmp_path)
    write_companions(student, student_folder, tmp_path)
    noise(3).save(tmp_path / "picture.png")
    labels = ["red", "a green picture", "蓝"]
    command = [sys.executable, "-c", BLOCKED, str(tmp_path / "try_onnx.py"), str(tmp_path / "picture.png")]
    done = subprocess.run([*command, *labels], capture_output=True, text=True)
    found = dict(line.split("%  ")[::-1] for line in done.stdout.splitlines())
    encoder, scale = StudentEncoder(student), contrast_scale(student.model).item()
    logits = scale * encoder.embed_texts(labels) @ encoder.embed_images([noise(3)])[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        dict(zip(labels, 100 * expected, strict=True)), abs=0.11
    ), done.stderr
