"""int8 twins of the exported towers, `image.int8.onnx` and `text.int8.onnx`: a quarter of the bytes, faster.

Matrix products are quantized dynamically: their ranges are taken from each batch. Convolutions have no fast
dynamic kernel, so a convolutional tower is quantized statically (QDQ, a scale a channel), with the ranges
that it shows on calibration pictures. The token table, most of a student's bytes, is stored as int8 with a
scale a row (training/token_table.py). Inputs and outputs stay as they are, float vectors out.

Weights of products have seven bits (`reduce_range`), from -64 to 64. On x86 without VNNI (AMD up to Zen 3,
laptops before 2019) ONNX Runtime adds two products of an unsigned activation and a signed weight in 16 bits,
and the sum saturates: with eight bits the text towers of the tests fell to a mean cosine of 0.982 there. With
seven, 2 x 255 x 64 = 32,640 fits, so every CPU computes the same sums. Unsigned weights would fit too, by a
kernel that is slow where VNNI is. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

Left out on purpose: training with quantization in the loop.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.token_table import with_int8_table

CALIBRATION_BATCH = 20
# Measured on the demo's tower, mean cosine with float32: without the clips, whose ranges the convolutions
# before them share, 0.918; with them 0.993. The first convolution and the depthwise one after it stay in
# float32: their channels differ in scale by a hundred (0.981 to 0.996 on another student). The channel gates
# (squeeze and excite) have one pixel: nothing to gain there.
STATIC_OPS = ["Conv", "Clip", "Relu"]
GATES = "squeeze_excite"
# A matrix near the identity, as inheritance starts some, has one large number a column that spoils the
# column's scale: the demo's two lost 0.0013 of 0.0013 in mean cosine (largest over deviation 16; others 5).
MAX_CREST = 10.0


class NoPictures(ValueError):
    """Convolutions need pictures to take their ranges from, and there is none."""


def int8_name(name: str) -> str:
    """`image.onnx` to `image.int8.onnx`."""
    return name.replace(".onnx", ".int8.onnx")


def quantize_image_tower(path: Path, pixels: np.ndarray) -> None:
    """Write the int8 twin beside `path`.

    Args:
        pixels: calibration pictures as the tower takes them, (n, 3, side, side).

    Raises:
        NoPictures: the tower is convolutional, and there is no picture.
    """
    if not is_convolutional(path):
        _quantize_products(path, path)
        return
    if not len(pixels):
        raise NoPictures
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / path.name
        # Folds what can be folded; symbolic shapes fail on the norm at the end, and are not needed.
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path.with_name(int8_name(path.name)),
            _Pictures(pixels),
            op_types_to_quantize=STATIC_OPS,
            nodes_to_exclude=_left_alone(prepared),
            per_channel=True,
            # Signed activations take four times as long: only unsigned ones have a kernel for depthwise.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            # The mean of the batches' ranges, so that one odd picture does not widen them.
            extra_options={"CalibMovingAverage": True},
        )


def quantize_text_tower(path: Path) -> None:
    """Write the int8 twin beside `path`, token table included."""
    with tempfile.TemporaryDirectory() as scratch:
        smaller = Path(scratch) / path.name
        onnx.save(with_int8_table(onnx.load(path)), smaller)
        _quantize_products(smaller, path)


def _quantize_products(source: Path, path: Path) -> None:
    """Write the int8 twin of `path` from `source`: products with weights, but those near the identity."""
    graph = onnx.load(source).graph
    with _quiet():
        quantize_dynamic(
            source,
            path.with_name(int8_name(path.name)),
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=_spiky(graph),
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )


def _spiky(graph: onnx.GraphProto) -> list[str]:
    """Names of nodes with a weight matrix whose largest number is far from all others."""
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer if len(item.dims) == 2}
    spiky = {name for name, array in arrays.items() if np.abs(array).max() > MAX_CREST * array.std()}
    return [node.name for node in graph.node if node.op_type == "MatMul" and spiky & set(node.input)]


def is_convolutional(path: Path) -> bool:
    """Whether most of a tower's products are convolutions; a ViT has one, for its patches."""
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    return kinds.count("Conv") > kinds.count("MatMul")


def _left_alone(path: Path) -> list[str]:
    """Names of nodes that stay in float32: the first two convolutions, and the channel gates."""
    nodes = onnx.load(path).graph.node
    first = [node.name for node in nodes if node.op_type == "Conv"][:2]
    return [*first, *(node.name for node in nodes if GATES in node.name)]


class _Pictures(CalibrationDataReader):
    """Calibration pictures, a batch at a time."""

    def __init__(self, pixels: np.ndarray):
        starts = range(0, len(pixels), CALIBRATION_BATCH)
        self.batches = iter([pixels[start : start + CALIBRATION_BATCH] for start in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {"pixel_values": batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice to preprocess what has been preprocessed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
