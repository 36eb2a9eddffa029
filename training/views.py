"""Views: augmented looks at a picture whose teacher's vectors are stored (MobileCLIP's reinforcement).

Only the parameters of a view are stored, in the record beside the vectors; teacher and student both see the
picture through `show`, so that a stored vector always belongs to the pixels. Flips are left out on purpose:
they turn writing and left and right around, which captions speak of.
"""

import hashlib
import math
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image, ImageEnhance


@dataclass(frozen=True)
class ViewRules:
    """How views are drawn: the least part of the picture's area, and how far colours move from 1."""

    num_views: int = 0
    min_area: float = 0.4
    max_jitter: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class View:
    """A crop as shares of the width and height (left, top, right, bottom), and factors of the colours."""

    crop: tuple[float, float, float, float]
    brightness: float
    contrast: float
    saturation: float


def draw_views(key: str, rules: ViewRules) -> list[View]:
    """The views of a sample; they depend on its key and the rules alone."""
    digest = hashlib.blake2b(f"{rules.seed}/{key}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    return [_draw(rng, rules) for _ in range(rules.num_views)]


def _draw(rng: np.random.Generator, rules: ViewRules) -> View:
    area = rng.uniform(rules.min_area, 1)
    # Width over height, relative to the picture's: from 3/4 to 4/3, less where it would not fit.
    reach = min(math.log(4 / 3), -math.log(area))
    aspect = math.exp(rng.uniform(-reach, reach))
    width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    factors = 1 + rng.uniform(-rules.max_jitter, rules.max_jitter, 3)
    # Rounded once, here: what is stored is what is shown.
    return View(
        tuple(round(share, 4) for share in (left, top, left + width, top + height)),
        *(round(float(factor), 3) for factor in factors),
    )


def show(image: Image.Image, view: View) -> Image.Image:
    """The picture as a view shows it."""
    left, top, right, bottom = view.crop
    box = (
        math.floor(left * image.width),
        math.floor(top * image.height),
        math.ceil(right * image.width),
        math.ceil(bottom * image.height),
    )
    shown = image.crop((box[0], box[1], min(box[2], image.width), min(box[3], image.height)))
    shown = ImageEnhance.Brightness(shown).enhance(view.brightness)
    shown = ImageEnhance.Contrast(shown).enhance(view.contrast)
    return ImageEnhance.Color(shown).enhance(view.saturation)


def to_record(views: list[View]) -> list[dict]:
    """Views as JSON has them."""
    return [asdict(view) for view in views]


def from_record(stored: list[dict]) -> list[View]:
    """Views of a record."""
    return [View(**{**item, "crop": tuple(item["crop"])}) for item in stored]
