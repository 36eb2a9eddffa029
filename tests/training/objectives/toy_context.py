"""Contexts of random unit vectors for the tests of terms, and plain numpy for what they should give."""

import numpy as np
import torch
from torch.nn.functional import normalize

from training.objectives.context import LANGUAGES, Context

ROWS, WIDTH = 6, 8
SOME_ZH, SOME_EN = [1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 1, 1]
SCALE = 10.0


def drawn(rows: int = ROWS, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Random unit vectors."""
    return normalize(torch.randn(rows, WIDTH, dtype=dtype), dim=1)


def pair_context(has_zh: list[float] = SOME_ZH, has_en: list[float] = SOME_EN) -> Context:
    """Six pairs, with all that a term on pairs may ask for."""
    torch.manual_seed(0)
    given = {name: drawn().requires_grad_() for name in ("image", "zh", "en")}
    given["scale"] = torch.tensor(SCALE, dtype=torch.float64, requires_grad=True)
    batch = {f"{name}_vector": drawn() for name in ("image", *LANGUAGES)}
    batch |= {f"momentum_{name}": drawn() for name in ("image", *LANGUAGES)}
    batch |= {f"{lang}_noise": torch.rand(ROWS, dtype=torch.float64) for lang in LANGUAGES}
    batch |= {"has_zh": torch.tensor(has_zh).double(), "has_en": torch.tensor(has_en).double()}
    return Context(given, {**batch, "anchors": drawn(10)}, gather=lambda rows: rows)


def text_context() -> Context:
    """Six texts alone."""
    torch.manual_seed(1)
    scale = torch.tensor(SCALE, dtype=torch.float64, requires_grad=True)
    given = {"text": drawn().requires_grad_(), "scale": scale}
    return Context(given, {"text_vector": drawn()}, gather=lambda rows: rows)


def plain(at: Context, name: str, lang: str = "") -> np.ndarray:
    """Rows of `given` or `batch` as numpy, of the pairs with a caption in `lang` if one is named."""
    rows = (at.given[name] if name in at.given else at.batch[name]).detach().numpy()
    return rows[at.batch[f"has_{lang}"].numpy() > 0] if lang else rows


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
    """Mean over rows."""
    return float(-(target * np.log(softmax(logits))).sum(axis=1).mean())


def gradients(at: Context, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of the loss by the name of what the student gave."""
    loss.backward()
    return {name: leaf.grad for name, leaf in at.given.items() if leaf.grad is not None}
