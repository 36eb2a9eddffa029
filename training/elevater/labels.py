"""Class names and prompt templates of a set, read from its file beside this module.

English names, index order, test sizes and metrics are those of the Elevater_Toolkit_IC repository (MIT);
Chinese names and all templates are ours.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Spelled out, so that a step's code version sees the files (infra/code_version.py).
FILES = {
    "caltech-101": "caltech_101.toml",
    "cifar-10": "cifar_10.toml",
    "cifar-100": "cifar_100.toml",
    "country211": "country211.toml",
    "dtd": "dtd.toml",
    "eurosat_clip": "eurosat_clip.toml",
    "fer-2013": "fer_2013.toml",
    "fgvc-aircraft-2013b-variants102": "fgvc_aircraft_2013b_variants102.toml",
    "food-101": "food_101.toml",
    "gtsrb": "gtsrb.toml",
    "hateful-memes": "hateful_memes.toml",
    "kitti-distance": "kitti_distance.toml",
    "mnist": "mnist.toml",
    "oxford-flower-102": "oxford_flower_102.toml",
    "oxford-iiit-pets": "oxford_iiit_pets.toml",
    "patch-camelyon": "patch_camelyon.toml",
    "rendered-sst2": "rendered_sst2.toml",
    "resisc45_clip": "resisc45_clip.toml",
    "stanford-cars": "stanford_cars.toml",
    "voc-2007-classification": "voc_2007_classification.toml",
}
ELEVATER = tuple(FILES)
LANGUAGES = ("en", "zh")

# For a set that has no templates of its own.
GENERIC_TEMPLATES = {
    "en": ("a photo of a {}.", "a picture that shows a {}.", "an image with a {} in it."),
    "zh": ("一张{}的照片。", "一幅展示{}的图片。", "一张含有{}的图像。"),
}


@dataclass(frozen=True)
class ExamSet:
    """One set of the exam. Dicts have a value per language, `en` and `zh`; class k is item k of `classes`.

    key: the toolkit's name of the set, which Chinese-CLIP uses too.
    metric: `accuracy`, `mean-per-class`, `11point_mAP` or `roc_auc`.
    num_test: images of the published test split.
    templates: `{}` stands for the class name.
    synonyms: all names of a class, the one in `classes` first; more than one in FER2013 only. The toolkit
        asks with the first alone.
    near_chance: small models hardly beat guessing there, and wording moves the figure more than the model.
    """

    key: str
    title: dict[str, str]
    metric: str
    num_test: int
    classes: dict[str, tuple[str, ...]]
    templates: dict[str, tuple[str, ...]]
    synonyms: dict[str, tuple[tuple[str, ...], ...]]
    near_chance: bool


@cache
def load_set(key: str) -> ExamSet:
    """A set by its key.

    Raises:
        ValueError: there is no such set.
    """
    if key not in FILES:
        raise ValueError(f"no ELEVATER set {key!r}; there are {', '.join(ELEVATER)}")
    raw = tomllib.loads(Path(__file__).with_name(FILES[key]).read_text(encoding="utf-8"))
    synonyms = {lang: tuple(map(_names, column)) for lang, column in _columns(raw["classes"])}
    return ExamSet(
        key=raw["key"],
        title=raw["title"],
        metric=raw["metric"],
        num_test=raw["num_test"],
        classes={lang: tuple(names[0] for names in column) for lang, column in synonyms.items()},
        templates=dict(_columns(raw["templates"])),
        synonyms=synonyms,
        near_chance=raw["near_chance"],
    )


def _columns(rows: list[list]) -> zip:
    """(language, its column) of rows of an English and a Chinese item."""
    return zip(LANGUAGES, zip(*rows, strict=True), strict=True)


def _names(item: str | list[str]) -> tuple[str, ...]:
    return (item,) if isinstance(item, str) else tuple(item)
