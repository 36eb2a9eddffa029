"""Opening a model by its address: the same answers whatever it is kept as, a clear error for what is none."""

import json
import shutil

import mlflow
import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from toy_training import TINY, noise

from training.champion import NoSuchVersion
from training.serve.models import Model, NoModel, open_model

TEXTS = ["a red picture", "红色的图片"]


# A broken file is broken in both families alike.
pytestmark = [
    pytest.mark.parametrize("shape", [TINY], indirect=True, ids=[TINY.family]),
    pytest.mark.usefixtures("shape"),
]


@pytest.fixture(scope="module")
def registry(student_folder, tmp_path_factory) -> str:
    """The address of a registry: version 1, champion, is the student, version 2 is something else."""
    place = tmp_path_factory.mktemp("registry")
    (place / "version" / "artifacts").mkdir(parents=True)
    (place / "other").mkdir()
    shutil.copytree(student_folder, place / "version" / "artifacts" / "student")
    uri = f"sqlite:///{place}/mlflow.db"
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("dcclip")
    for name in ("version", "other"):
        client.create_model_version("dcclip", f"file://{place}/{name}")
    client.set_registered_model_alias("dcclip", "champion", "1")
    return uri


def answers(model: Model) -> np.ndarray:
    """Logits of two pictures and two texts."""
    pixels = np.concatenate([model.prepare(noise(seed)) for seed in (1, 2)])
    return model.scale * model.embed_prepared(pixels) @ model.embed_texts(TEXTS).T


def test_one_student_answers_alike_from_everywhere(student_folder, export, registry):
    opened = [
        open_model(str(student_folder)),
        open_model(str(export)),
        open_model("models:/dcclip@champion", registry),
        open_model("models:/dcclip/1", registry),
    ]
    expected = answers(opened[0])
    for model in opened[1:]:
        assert answers(model) == pytest.approx(expected, abs=1e-3)
        assert model.width == opened[0].width
    assert opened[0].content == opened[2].content == opened[3].content
    assert opened[2].name == "models:/dcclip@champion (version 1)"
    small = open_model(str(export), int8=True)
    assert answers(small) == pytest.approx(expected, abs=2)
    assert len({small.content, opened[0].content, opened[1].content}) == 3


@pytest.fixture
def student_copy(student_folder, tmp_path):
    return shutil.copytree(student_folder, tmp_path / "student_copy")


def halve(path) -> None:
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])


def lose_a_weight(folder) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in weights if "text_model.encoder" in name))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def rename_the_class(folder) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "clip", "architectures": ["CLIPModel"]}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda folder: halve(folder / "model.safetensors"), "no whole student"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "no whole student"),
        (lambda folder: halve(folder / "config.json"), "no whole student"),
        (lambda folder: (folder / "config.json").unlink(), "no whole student"),
        (lambda folder: halve(folder / "tokenizer.json"), "no whole student"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no whole student"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "no whole student"),
        (lose_a_weight, "lacks 1 weights of its model"),
        (rename_the_class, "no whole student"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "has neither"),
    ],
)
def test_a_cut_off_or_foreign_student_is_told(student_copy, spoil, message):
    spoil(student_copy)
    with pytest.raises(NoModel, match=message) as caught:
        open_model(str(student_copy))
    assert "\n" not in str(caught.value)


@pytest.fixture
def export_copy(export, tmp_path):
    return shutil.copytree(export, tmp_path / "export_copy")


def restamp(opset: int):
    """Writes another opset into the image tower."""

    def spoil(folder) -> None:
        model = onnx.load(folder / "image.onnx")
        for entry in model.opset_import:
            entry.version = opset
        onnx.save(model, folder / "image.onnx")

    return spoil


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda folder: halve(folder / "image.onnx"), "image.onnx cannot be opened, it may be cut off"),
        (lambda folder: halve(folder / "text.onnx"), "text.onnx cannot be opened, it may be cut off"),
        (lambda folder: (folder / "text.onnx").write_bytes(b""), "text.onnx"),
        (lambda folder: (folder / "text.onnx").unlink(), "has no text.onnx"),
        (lambda folder: shutil.copy(folder / "text.onnx", folder / "image.onnx"), "is no tower of dcclip"),
        (restamp(5), "image.onnx is of opset 5, ONNX Runtime needs 7: export it again"),
        (restamp(99), "image.onnx cannot be opened"),
        (lambda folder: (folder / "onnx.json").write_text("{}"), "no whole export"),
        (lambda folder: halve(folder / "onnx.json"), "no whole export"),
        (lambda folder: shutil.rmtree(folder / "student"), "no whole export"),
        (lambda folder: halve(folder / "student" / "tokenizer.json"), "no whole export"),
    ],
)
def test_a_cut_off_or_foreign_export_is_told(export_copy, spoil, message):
    spoil(export_copy)
    with pytest.raises(NoModel, match=message) as caught:
        open_model(str(export_copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["nowhere", "models:/dcclip", "https://example.org/model", "runs:/1/student"]
)
def test_what_is_no_address_is_told(address):
    with pytest.raises(NoModel, match="is neither a folder nor models:/NAME@ALIAS"):
        open_model(address)


@pytest.mark.parametrize(
    "address, error, message",
    [
        ("models:/dcclip@challenger", NoModel, "dcclip has no challenger in the registry sqlite"),
        ("models:/other@champion", NoModel, "other has no champion"),
        ("models:/dcclip/9", NoSuchVersion, "dcclip has no version 9"),
        ("models:/dcclip/2", NoModel, "version 2 of dcclip has no model.safetensors"),
    ],
)
def test_what_the_registry_does_not_have_is_told(registry, address, error, message):
    with pytest.raises(error, match=message):
        open_model(address, registry)
