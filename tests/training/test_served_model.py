"""The served model's own code: what it refuses to load, and a photo taken sideways."""

import ast
import io
import json
import os
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from tests.odd_images import CORNERS, PLAIN, SIZE, encoded, mean_of, oriented, red_corner
from training import served_model
from training.example_code import self_contained
from training.export import EXAMPLE
from training.served_model import ZeroShotClassifier, opened
from training.student import load_student


@pytest.fixture
def student_copy(student_folder, tmp_path):
    return shutil.copytree(student_folder, tmp_path / "student_copy")


def load(folder, **context) -> ZeroShotClassifier:
    model = ZeroShotClassifier()
    model.load_context(SimpleNamespace(artifacts={"student": str(folder)}, **context))
    return model


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


@pytest.mark.parametrize("name", PLAIN)
def test_pixels_are_those_of_the_crawl(name):
    picture = opened(PLAIN[name][0])
    assert (picture.mode, picture.size) == ("RGB", SIZE)
    assert mean_of(picture) == pytest.approx(PLAIN[name][1], abs=1.6)


@pytest.mark.parametrize("orientation", CORNERS)
def test_every_orientation_is_upright_as_bytes_and_as_a_pil_image(orientation):
    file = oriented(orientation, "PNG")
    for given in (file, Image.open(io.BytesIO(file))):
        assert red_corner(opened(given)) == CORNERS[orientation]


@pytest.mark.parametrize("source", [EXAMPLE, Path(served_model.__file__)])
def test_what_leaves_the_project_imports_nothing_of_it(source):
    imports = [
        node for node in ast.walk(ast.parse(self_contained(source))) if isinstance(node, ast.ImportFrom)
    ]
    assert {node.module for node in imports} <= {
        "PIL",
        "collections.abc",
        "tokenizers",
        "pathlib",
        "transformers",
    }


@pytest.fixture(scope="module")
def classifier(student_folder) -> ZeroShotClassifier:
    return load(student_folder)


def asked(model, images: list, labels: list | None = None) -> pd.DataFrame:
    labels = labels or [["red", "blue"]] * len(images)
    return model.predict(None, pd.DataFrame({"image": images, "labels": labels}))


RED = Image.new("RGB", (30, 20), "red")


@pytest.mark.parametrize(
    "labels, error",
    [
        (["red", "blue", "red"], "'red' is there twice"),
        (("red", "red"), "twice"),
        (np.array(["red", "red"]), "twice"),
        (None, "must be a list"),
        ("red", "must be a list"),
        (7, "must be a list"),
        ({"red": 1}, "must be a list"),
        (["red", 7], "not empty"),
        (["red", None], "not empty"),
        ([["red"], ["red"]], "not empty"),
    ],
    ids=str,
)
def test_bad_labels_cost_one_row(classifier, labels, error):
    found = asked(classifier, [RED] * 3, [["red", "blue"], labels, ("red", "blue")])
    assert error in found["error"][1]
    assert found["error"][[0, 2]].isna().all()


def test_one_picture_at_a_time_is_in_memory(classifier, monkeypatch):
    alive: list[weakref.ref] = []

    def watched(*args):
        assert not any(found() for found in alive)
        picture = opened(*args)
        alive.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(served_model, "opened", watched)
    assert asked(classifier, [encoded(RED, "PNG")] * 5)["error"].isna().all()
    assert len(alive) == 5


def test_a_large_picture_is_made_small_while_it_is_decoded():
    assert opened(encoded(Image.new("L", (6_000, 4_500)), "PNG")).size == (1_500, 1_125)


@pytest.fixture
def nasty(tmp_path) -> dict[str, str]:
    """Paths at which there is no picture, for one reason or another."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("secret")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(encoded(Image.new("1", (10_000, 10_000)), "PNG"))
    names = ("pipe.png", "text.png", "folder.png", "large.png", "nowhere.png", "nowhere/at/all.png")
    return {name: str(tmp_path / name) for name in names} | {
        "device": "/dev/zero",
        "nul": "a\0b",
        "long": "a" * 5_000,
        "object": Path("/etc/shadow"),
    }


def test_no_path_waits_or_tells_what_is_there(classifier, nasty):
    errors = set(asked(classifier, list(nasty.values()))["error"])
    assert len(errors) == 1
    assert "No such file, or no picture" in errors.pop()


@pytest.mark.parametrize("server", served_model.SERVERS)
def test_a_server_opens_no_paths_unless_it_is_told_to(student_folder, tmp_path, monkeypatch, server):
    RED.save(tmp_path / "red.png")
    monkeypatch.setenv(server, "here")
    paths = [str(tmp_path / "red.png"), tmp_path / "red.png"]
    for config in ({}, {"model_config": None}, {"model_config": {"paths": None}}):
        found = asked(load(student_folder, **config), paths)
        assert found["error"].str.contains("paths are not opened here").all()
    assert asked(load(student_folder, model_config={"paths": True}), paths)["error"].isna().all()
    monkeypatch.delenv(server)
    assert asked(load(student_folder, model_config={"paths": None}), paths)["error"].isna().all()
    assert not asked(load(student_folder, model_config={"paths": False}), paths)["error"].isna().any()


def test_code_in_a_students_folder_is_not_asked_for(student_copy, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        file = student_copy / name
        settings = json.loads(file.read_text())
        kinds = ("AutoConfig", "AutoModel", "AutoImageProcessor")
        settings["auto_map"] = {kind: "evil.Evil" for kind in kinds} | {
            "AutoTokenizer": ["evil.Evil", "evil.Evil"]
        }
        file.write_text(json.dumps(settings))
    (student_copy / "evil.py").write_text("raise SystemExit('ran')")
    assert asked(load(student_copy), [RED])["error"].isna().all()
    load_student(student_copy)
