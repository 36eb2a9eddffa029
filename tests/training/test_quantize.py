"""int8: a quarter of the bytes, nearly the same vectors, whichever the family, the batch and the text."""

import numpy as np
import onnx
import pytest
from toy_training import TINY, noise, png, tiny_student

from training import quantize, shards
from training.calibration import calibration_pixels
from training.export import IMAGE, TEXT, export_towers
from training.onnx_pair import OnnxEncoder, compare_pair
from training.student import load_student
from training.token_table import quantize_rows, with_int8_table
from training.zero_shot import read_exam

TEXTS = ["red", "a red picture", "红色的图片", "黑色的图片，白色的图片，黄色的图片", "a red picture " * 9]


@pytest.fixture(scope="module")
def student(student_folder):
    return load_student(student_folder)


@pytest.fixture(scope="module")
def exported(student, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    export_towers(student, folder)
    pictures = [noise(seed, (32, 32)) for seed in range(30)]
    pixels = student.image_processor(pictures, return_tensors="np")["pixel_values"]
    quantize.quantize_image_tower(folder / IMAGE, pixels)
    quantize.quantize_text_tower(folder / TEXT)
    return folder


@pytest.fixture(scope="module")
def pairs(exported, student):
    return [OnnxEncoder(exported, student, int8=small) for small in (False, True)]


def mean_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert np.linalg.norm(theirs, axis=1) == pytest.approx(1, abs=1e-4)
    return float((ours * theirs).sum(axis=1).mean())


@pytest.mark.parametrize("num_images", [1, 7])
def test_images_nearly_agree_with_float32(pairs, num_images):
    images = [noise(100 + seed, (30 + seed, 50)) for seed in range(num_images)]
    assert mean_cosine(*(pair.embed_images(images) for pair in pairs)) > 0.98


@pytest.mark.parametrize("texts", [TEXTS, *([text] for text in TEXTS)])
def test_texts_nearly_agree_with_float32(pairs, texts):
    assert mean_cosine(*(pair.embed_texts(texts) for pair in pairs)) > 0.995


def types_of(path) -> dict[str, int]:
    """Bytes of weights by their type."""
    found: dict[str, int] = {}
    for item in onnx.load(path).graph.initializer:
        name = onnx.TensorProto.DataType.Name(item.data_type)
        found[name] = found.get(name, 0) + onnx.numpy_helper.to_array(item).nbytes
    return found


def test_most_weights_of_the_text_tower_are_int8(exported):
    kept = onnx.load(exported / "text.int8.onnx").graph
    tables = [item for item in kept.initializer if item.name.endswith(".int8")]
    assert [item.data_type for item in tables] == [onnx.TensorProto.INT8]
    found = types_of(exported / "text.int8.onnx")
    assert found["INT8"] > found["FLOAT"]


def test_a_vit_needs_no_pictures_and_convolutions_do(exported, tmp_path, shape):
    path = tmp_path / IMAGE
    path.write_bytes((exported / IMAGE).read_bytes())
    nothing = np.zeros((0, 3, 32, 32), np.float32)
    if shape == TINY:
        assert quantize.is_convolutional(path)
        with pytest.raises(quantize.NoPictures):
            quantize.quantize_image_tower(path, nothing)
    else:
        assert not quantize.is_convolutional(path)
        quantize.quantize_image_tower(path, nothing)
        assert "INT8" in types_of(tmp_path / "image.int8.onnx")


def test_a_matrix_near_the_identity_stays_as_it_is(tmp_path):
    student = tiny_student()
    weight = student.model.text_model.encoder.layer[0].attention.self.value.weight
    weight.data = 0.001 * weight.data
    weight.data.fill_diagonal_(1)
    weight.data[0, 0] = 3
    export_towers(student, tmp_path)
    quantize.quantize_text_tower(tmp_path / TEXT)
    names = [
        node.name for node in onnx.load(tmp_path / "text.int8.onnx").graph.node if node.op_type == "MatMul"
    ]
    assert [name for name in names if "value" in name]
    assert not [name for name in names if "query/MatMul" in name]


def test_a_row_of_a_table_is_within_half_a_level_of_what_it_was():
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * np.arange(50)[:, None]
    rows, scales = quantize_rows(table)
    assert (rows.dtype, scales.shape) == (np.int8, (50, 1))
    assert (np.abs(rows * scales - table) <= scales / 2 * 1.001).all()
    assert (rows[0] == 0).all()


def test_a_graph_without_a_table_is_refused():
    graph = onnx.helper.make_graph([], "empty", [], [])
    with pytest.raises(ValueError, match="no token"):
        with_int8_table(onnx.helper.make_model(graph))


def test_the_exam_says_what_int8_costs(exported, student, exam_folder):
    facts = compare_pair(exported, student, read_exam(exam_folder), int8=True)["int8"]
    assert set(facts["top1"]) == {"fp32", "int8"}
    means = {name: sum(marks.values()) / 2 for name, marks in facts["top1"].items()}
    assert facts["drop_points"] == pytest.approx(100 * (means["fp32"] - means["int8"]))
    assert set(facts["megabytes"]) == {"image.int8.onnx", "text.int8.onnx"}
    assert facts["num_images"] == 12
    for cosine in facts["cosine"].values():
        assert 0.9 < cosine["least"] <= cosine["mean"] <= 1.0001


@pytest.mark.parametrize("num, found", [(0, 0), (6, 6), (1000, 24)])
def test_calibration_takes_pictures_of_every_shard(corpus, student, num, found):
    paths = sorted((corpus.embedded / "shards").glob("*.tar"))
    assert len(paths) == 2
    assert calibration_pixels(paths, student, num).shape == (found, 3, 32, 32)


def test_the_order_of_a_tar_changes_no_calibration(student, tmp_path):
    """It differs from crawl to crawl, and with it image.int8.onnx did."""
    samples = [{"__key__": f"{number:09d}", "png": png(noise(number)), "json": b"{}"} for number in range(12)]
    found = []
    for name, order in (("one", samples), ("other", [*samples[5:], *samples[:5]]), ("third", samples[::-1])):
        shards.write_shard(tmp_path / f"{name}.tar", order)
        found.append(calibration_pixels([tmp_path / f"{name}.tar"], student, 5))
    assert len(found[0]) == 5
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def test_a_picture_that_cannot_be_decoded_is_passed_over(student, tmp_path):
    sample = {"__key__": "0", "png": b"no picture", "json": b"{}"}
    shards.write_shard(tmp_path / "00000.tar", [sample])
    assert len(calibration_pixels([tmp_path / "00000.tar"], student, 5)) == 0
