"""Small data sets in the layouts of the field: drawn shapes, plain colours, and an ELEVATER of four sets."""

import io
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw
from toy_training import COLOURS, HAN, picture, png, unit

from training import shards

# Circles, squares, lines and crosses go by names that the tiny students' tokenizer can tell apart.
SHAPES = ("red", "green", "blue", "yellow")
SHAPES_ZH = ("红", "绿", "蓝", "黄")
# Classes of different sizes.
SHAPE_LABELS = [min(3, int(number**0.5) % 5) for number in range(60)]


@dataclass(frozen=True)
class ExamSet:
    """As training/elevater gives it."""

    key: str
    metric: str
    classes: dict
    num_test: int = 12
    near_chance: bool = False
    templates: dict = field(default_factory=lambda: {"en": ("{}", "a {} thing"), "zh": ("{}", "{}色")})
    synonyms: dict = field(default_factory=dict)


def colours(key: str, metric: str, names: tuple = COLOURS, **options) -> ExamSet:
    """A set of the colours."""
    classes = {"en": names, "zh": tuple(HAN[name] for name in names)}
    synonyms = {lang: tuple((name,) for name in column) for lang, column in classes.items()}
    return ExamSet(key, metric, classes, synonyms=synonyms, **options)


TOY_ELEVATER = {
    item.key: item
    for item in (
        colours("cifar-10", "accuracy"),
        colours("oxford-iiit-pets", "mean-per-class"),
        colours("hateful-memes", "roc_auc", COLOURS[:2], near_chance=True),
        colours("voc-2007-classification", "11point_mAP"),
    )
}


def install_elevater(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training.elevater be the four sets."""
    module = ModuleType("training.elevater")
    module.ELEVATER = tuple(TOY_ELEVATER)
    module.load_set = TOY_ELEVATER.__getitem__
    module.read_class_names = lambda path, num_classes: _lines(path, num_classes)
    module.read_templates = lambda path, key: _lines(path)
    monkeypatch.setitem(sys.modules, "training.elevater", module)
    monkeypatch.setattr("training.elevater", module, raising=False)


def _lines(path: Path, num: int | None = None) -> tuple[str, ...]:
    lines = tuple(path.read_text().splitlines())
    if num not in (None, len(lines)):
        raise ValueError(f"{path} has {len(lines)} class names, the set has {num} classes")
    return lines


def npy(values, **options) -> bytes:
    """The content of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, np.array(values), **options)
    return stream.getvalue()


def write_tars(folder: Path, samples: list[dict], per_tar: int = 1_000, **texts: str) -> Path:
    """A set in clip_benchmark's layout; `texts` are the files beside, by name without .txt."""
    (folder / "test").mkdir(parents=True)
    starts = range(0, len(samples), per_tar)
    for number, start in enumerate(starts):
        keyed = [
            {"__key__": f"s{start + at:07d}", **sample} for at, sample in enumerate(samples[start:][:per_tar])
        ]
        shards.write_shard(folder / "test" / f"{number}.tar", keyed)
    (folder / "test" / "nshards.txt").write_text(f"{len(starts)}\n")
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def colour_samples(names: tuple[str, ...] = COLOURS, rounds: int = 2) -> list[dict]:
    """Pictures of the colours in turn, with their numbers."""
    return [
        {"png": png(picture(name)), "cls": str(label).encode()}
        for _ in range(rounds)
        for label, name in enumerate(names)
    ]


def drawn_shape(seed: int, shape: int) -> Image.Image:
    """A shape of any colour anywhere on a coloured ground."""
    chance = np.random.default_rng(seed)
    ground, ink = (tuple(int(value) for value in chance.integers(0, 256, 3)) for _ in range(2))
    image = Image.new("RGB", (int(chance.integers(24, 60)), int(chance.integers(24, 60))), ground)
    x, y, size = (int(value) for value in chance.integers((2, 2, 8), (12, 12, 16)))
    pen, box = ImageDraw.Draw(image), (x, y, x + size, y + size)
    if shape == 0:
        pen.ellipse(box, fill=ink)
    if shape == 1:
        pen.rectangle(box, fill=ink)
    if shape >= 2:
        pen.line(box, fill=ink, width=3)
    if shape == 3:
        pen.line((x, y + size, x + size, y), fill=ink, width=3)
    return image


class PixelTeacher:
    """Knows nothing, and tells everything apart: fixed random projections of pixels and of texts."""

    width = 24

    def prepare_images(self, images: list[Image.Image]) -> np.ndarray:
        """Small grey pictures (pictures, 64), their mean brightness taken out."""
        small = np.stack(
            [np.asarray(image.convert("L").resize((8, 8)), np.float32).ravel() for image in images]
        )
        # A plain picture keeps a direction.
        return small - small.mean(axis=1, keepdims=True) + 0.1

    def embed_prepared(self, prepared: np.ndarray) -> np.ndarray:
        """Unit vectors; einsum sums one row as it sums many."""
        weights = np.random.default_rng(0).normal(size=(64, self.width)).astype(np.float32)
        return unit(np.einsum("ij,jk->ik", prepared, weights))

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        """Unit vectors."""
        return self.embed_prepared(self.prepare_images(images))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """A vector of its own for each text."""
        seeds = [zlib.crc32(text.encode()) for text in texts]
        return unit(np.stack([np.random.default_rng(seed).normal(size=self.width) for seed in seeds]))


def write_shapes(folder: Path) -> Path:
    """Drawn shapes with class names and templates in both languages."""
    samples = [
        {"png": png(drawn_shape(seed, label)), "cls": str(label).encode()}
        for seed, label in enumerate(SHAPE_LABELS)
    ]
    return write_tars(
        folder,
        samples,
        per_tar=25,
        classnames="\n".join(SHAPES) + "\n",
        classnames_zh="\n".join(SHAPES_ZH) + "\n",
        zeroshot_classification_templates="a {c} picture\n{c}\n",
        zeroshot_classification_templates_zh="{c}色的图片\n{c}\n",
    )
