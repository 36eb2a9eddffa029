"""A folder of pictures with things in it that are none, and a toy model that knows colours."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_training import COLOURS, WIDTH, ToyTeacher, noise, picture, png

from training.serve.models import Model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A user's cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Six plain pictures, one of them in a folder below, and eight things that are no picture to us."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for colour in COLOURS:
        place = folder / ("below" if colour == "white" else "")
        picture(colour).save(place / f"{colour}.png")
    (tmp_path / "secret.png").write_bytes(png(noise(0)))
    (folder / ".hidden" / "red.png").write_bytes(png(noise(0)))
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("red")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    return folder


class ToyModel:
    """A toy teacher as `Model`, which counts what it is asked."""

    def __init__(self):
        self.teacher, self.embedded, self.asked = ToyTeacher(), 0, []

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The picture's vector is its input already."""
        return self.teacher.embed_images([image])

    def embed_prepared(self, prepared: np.ndarray) -> np.ndarray:
        """Nothing is left to do."""
        self.embedded += len(prepared)
        return prepared

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """The colours' vectors."""
        self.asked += texts
        return self.teacher.embed_texts(texts)

    def model(self, content: str = "toy") -> Model:
        """What is served."""
        return Model("toy", content, 10.0, WIDTH, self.prepare, self.embed_prepared, self.embed_texts)


@pytest.fixture
def toy_model() -> ToyModel:
    return ToyModel()
