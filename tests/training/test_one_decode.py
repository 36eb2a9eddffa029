"""Training, evaluation, filters and reports see the same pixels of a file."""

import ast
from pathlib import Path

import numpy as np
import pytest

from spark_jobs import pixels
from tests.odd_images import CORNERS, PLAIN, mean_of, oriented, red_corner
from training import shards
from training.exams.embedding import embed_pictures

ROOT = Path(__file__).parent.parent.parent
STORED = [name for name in PLAIN if name.split()[-1] not in ("TIFF", "AVIF", "GIF", "BMP")]


class Means:
    """An encoder whose vector is the mean colour of a picture."""

    def prepare_images(self, images):
        """Nothing to do."""
        return images

    def embed_prepared(self, images):
        """(n, 3)."""
        return np.array([mean_of(image) for image in images])


def test_evaluations_see_values():
    ((vectors, names, num_left_out),) = embed_pictures(
        {"toy": Means()}, [(file, name) for name, (file, _) in PLAIN.items()][:64]
    )
    assert num_left_out == 0
    assert vectors["toy"] == pytest.approx(np.array([PLAIN[name][1] for name in names]), abs=1.6)


@pytest.mark.parametrize("name", STORED)
def test_filters_see_values(name):
    file, (red, green, blue) = PLAIN[name]
    assert pixels.read_grey(file).mean() == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue, abs=1.6)


@pytest.mark.parametrize("orientation", CORNERS)
def test_training_sees_pictures_upright(orientation):
    sample = {"__key__": "a", "jpg": oriented(orientation, "JPEG")}
    assert red_corner(shards.image_of(sample)) == CORNERS[orientation]
    assert red_corner(shards.image_or_none(sample)) == CORNERS[orientation]


def calls(tree: ast.AST):
    """(name of what is called, its keywords)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func), {item.arg for item in node.keywords}


def sources():
    for folder in ("components", "infra", "pipelines", "spark_jobs", "training"):
        yield from (ROOT / folder).rglob("*.py")


def test_nothing_is_opened_but_by_the_one_function_and_no_remote_code_is_asked_for():
    openers, trusting = set(), set()
    for path in sources():
        for name, keywords in calls(ast.parse(path.read_text())):
            if name in ("Image.open", "PIL.Image.open", "cv2.imread", "cv2.imdecode"):
                openers.add((path.name, name))
            if name.startswith("Auto") and name.endswith(".from_pretrained"):
                given = "trust_remote_code" in keywords or None in keywords
                trusting |= set() if given else {path.name}
    assert openers == {("decode.py", "Image.open"), ("reduced_decoding.py", "cv2.imdecode")}
    assert trusting == set()
