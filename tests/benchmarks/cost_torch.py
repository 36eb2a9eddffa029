"""A tower in torch: parameters, FLOPs and times, and its ONNX files, float32 and int8."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.towers.inputs import make_inputs
from tests.benchmarks.towers.named import build_named
from tests.benchmarks.towers.tower import Tower
from tests.benchmarks.turns import Pace, median_seconds
from training.quantize import int8_name, quantize_image_tower, quantize_text_tower

# Batches of what is slower than ViT-B/16 are smaller: a batch of 64 of AltCLIP's takes a minute.
MAX_BATCH_FLOPS = 2.5e12
NUM_CALIBRATION = 8


@dataclass(frozen=True)
class Built:
    """A tower's costs in torch, `seconds` of an image or text by batch size, and its files by precision.

    `side` is that of pictures, `megabytes` are as of files with the whole token table.
    """

    parameters: int
    flops: int
    side: int
    batch: int
    seconds: dict[int, float]
    files: dict[str, Path]
    megabytes: dict[str, float]
    left_out_megabytes: dict[str, float]


def build_and_measure(name: str, kind: str, folder: Path, pace: Pace, batch: int) -> Built:
    """Build a named model's tower, time it, write its ONNX files into a folder of its own.

    `batch` is the size of the larger batches, where `MAX_BATCH_FLOPS` allows it.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(pace.threads)
    tower = build_named(name, kind)
    flops = count_flops(tower)
    batch = batch_size(flops, batch)
    seconds = time_torch(tower, (1, batch), pace)
    parameters, side = tower.num_parameters, tower.side
    lacking = {key: size / 2**20 for key, size in tower.left_out_bytes.items()}
    path = folder / name / kind / "tower.onnx"
    path.parent.mkdir(parents=True)
    export(tower.module, tensors(tower, 2), path)
    # AltCLIP's weights are not to be in memory twice and more.
    del tower
    files = {"fp32": path, "int8": quantize(path, kind, side)}
    sizes = {key: file.stat().st_size / 2**20 + lacking[key] for key, file in files.items()}
    return Built(parameters, flops, side, batch, seconds, files, sizes, lacking)


def batch_size(flops: int, batch: int) -> int:
    """The batch, or half of it as often as it takes to stay within `MAX_BATCH_FLOPS`."""
    while batch > 1 and batch * flops > MAX_BATCH_FLOPS:
        batch //= 2
    return batch


@torch.no_grad()
def count_flops(tower: Tower) -> int:
    """Of one image or text; two for a multiplication with its addition, as in training/student_cost.py."""
    # The counter does not know the fused attention of a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        tower.module(*tensors(tower, 1).values())
    return counter.get_total_flops()


def tensors(tower: Tower, batch: int) -> dict[str, torch.Tensor]:
    """A batch of inputs, pictures in the layout that convolutions like."""
    given = {
        name: torch.from_numpy(item) for name, item in make_inputs(tower.kind, batch, tower.side).items()
    }
    if tower.kind == "image":
        given["pixel_values"] = given["pixel_values"].contiguous(memory_format=torch.channels_last)
    return given


@torch.inference_mode()
def time_torch(tower: Tower, batches: tuple[int, ...], pace: Pace) -> dict[int, float]:
    """Median seconds of one image or text by batch size."""
    given = {batch: tensors(tower, batch) for batch in set(batches)}
    runs = {batch: lambda inputs=inputs: tower.module(*inputs.values()) for batch, inputs in given.items()}
    return {batch: taken / batch for batch, taken in median_seconds(runs, pace).items()}


def quantize(path: Path, kind: str, side: int) -> Path:
    """The int8 twin of an ONNX file, made as export_student makes it, calibrated on noise."""
    if kind == "image":
        quantize_image_tower(path, make_inputs("image", NUM_CALIBRATION, side)["pixel_values"])
    else:
        quantize_text_tower(path)
    return path.with_name(int8_name(path.name))


def export(module: nn.Module, inputs: dict[str, torch.Tensor], path: Path) -> None:
    """Write a tower as ONNX, batch and text length free."""
    axes = {name: {0: "n"} if name == "pixel_values" else {0: "n", 1: "length"} for name in inputs}
    torch.onnx.export(
        module,
        tuple(inputs.values()),
        path,
        dynamo=False,
        input_names=list(inputs),
        output_names=["vectors"],
        dynamic_axes={**axes, "vectors": {0: "n"}},
    )
