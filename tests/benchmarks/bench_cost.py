"""What students cost beside published models: parameters, bytes, FLOPs, time and memory of each tower.

    python -m tests.benchmarks.bench_cost [--students small small_vit] [--threads 1 --cpu-time]

AltCLIP, Chinese-CLIP RN50 and ViT-B/16, CLIP ViT-B/32 and MobileCLIP-S0 are built from their published
configurations (tests/benchmarks/towers/) with random weights, students likewise: time does not depend on
them. Pictures are of each model's own size, texts have 32 tokens. In ONNX Runtime all towers of a kind and
precision take turns in one process; torch runs one tower after the other. Latency is of a batch of one,
throughput of 64 (fewer where the table says so: batches of at most 2.5 TFLOP). Memory is the peak of a
process that loads the file and runs a batch of one. `--cpu-time` counts processor time of one thread instead
of the clock: the way to compare on a machine that others use too. The last lines are `figure NAME VALUE`:
ratios of throughput of the first student in ONNX Runtime, float32.
"""

import argparse
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.students import STUDENTS
from tests.benchmarks.turns import Pace

# Of tests/benchmarks/towers/named.py, which imports torch: processes that measure memory import this module.
BASELINES = ("altclip", "chinese_clip_rn50", "chinese_clip_vit_b16", "clip_vit_b32", "mobileclip_s0")
KINDS = {"image": "images", "text": "texts"}
# Ratios that are goals, by what the figure calls the other model.
COMPARED = {"cnclip_rn50": "chinese_clip_rn50", "altclip": "altclip"}


@dataclass(frozen=True)
class Cost:
    """A row of the table: what a tower costs, by engine `torch`, `fp32`, `int8` (both ONNX Runtime)."""

    model: str
    kind: str
    parameters: int
    flops: int
    batch: int
    megabytes: dict[str, float]
    latency: dict[str, float]
    throughput: dict[str, float]
    memory: dict[str, float]


def main(arguments: list[str] | None = None) -> None:
    """Build, measure, print."""
    options = parse(arguments)
    pace = Pace(options.threads, options.cpu_time, options.seconds, fewest=options.fewest)
    names = [*options.students, *options.baselines]
    with tempfile.TemporaryDirectory() as folder:
        costs = [
            cost for kind in KINDS for cost in measure(kind, names, Path(folder) / kind, pace, options.batch)
        ]
    print(f"{pace.threads} threads, {'processor time' if pace.cpu_time else 'clock'}")
    print(table(costs, options.batch))
    for name, value in figures(costs, options.students[0]).items():
        print(f"figure {name} {value:.2f}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", default=["small"], choices=STUDENTS)
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=BASELINES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64, help="of throughput")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each is measured")
    parser.add_argument("--fewest", type=int, default=3, help="runs of what takes longer than that")
    return parser.parse_args(arguments)


def measure(kind: str, names: list[str], folder: Path, pace: Pace, batch: int) -> list[Cost]:
    """Costs of all towers of a kind; each is built in a process of its own, so that memory comes back."""
    built = {}
    for name in names:
        print(f"{name}, {kind} tower, in torch", flush=True)
        built[name] = in_own_process(_build, name, kind, folder, pace, batch)
    precisions = list(next(iter(built.values())).files)
    found = {precision: _measure_onnx(kind, precision, built, pace) for precision in precisions}
    shutil.rmtree(folder)
    return [
        _cost(name, kind, built[name], {key: rows[name] for key, rows in found.items()}) for name in names
    ]


def in_own_process(function: Callable, *arguments):
    """What a function of this module gives in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _build(*arguments):
    # Here and not above: torch would be in the memory that is measured.
    from tests.benchmarks.cost_torch import build_and_measure

    return build_and_measure(*arguments)


def _time_onnx(towers: dict, pace: Pace) -> dict[tuple[str, int], float]:
    from tests.benchmarks.cost_onnx import time_onnx

    return time_onnx(towers, pace)


def _peak_megabytes(tower, threads: int) -> float:
    from tests.benchmarks.cost_onnx import peak_megabytes

    return peak_megabytes(tower, threads)


def _measure_onnx(kind: str, precision: str, built: dict, pace: Pace) -> dict[str, dict[str, float]]:
    """By name: `latency` and `pace` in seconds of one, `memory` in megabytes."""
    from tests.benchmarks.cost_onnx import OnnxTower

    print(f"{kind} towers in ONNX Runtime, {precision}", flush=True)
    towers = {
        name: OnnxTower(found.files[precision], kind, found.side, found.batch)
        for name, found in built.items()
    }
    seconds = in_own_process(_time_onnx, towers, pace)
    return {
        name: {
            "latency": seconds[name, 1],
            "pace": seconds[name, tower.batch],
            "memory": in_own_process(_peak_megabytes, tower, pace.threads)
            + built[name].left_out_megabytes[precision],
        }
        for name, tower in towers.items()
    }


def _cost(name: str, kind: str, built, onnx: dict[str, dict[str, float]]) -> Cost:
    latency = {"torch": built.seconds[1], **{key: row["latency"] for key, row in onnx.items()}}
    paces = {"torch": built.seconds[built.batch], **{key: row["pace"] for key, row in onnx.items()}}
    return Cost(
        name,
        kind,
        built.parameters,
        built.flops,
        built.batch,
        built.megabytes,
        {engine: 1_000 * seconds for engine, seconds in latency.items()},
        {engine: 1 / seconds for engine, seconds in paces.items()},
        {key: row["memory"] for key, row in onnx.items()},
    )


def table(costs: list[Cost], batch: int) -> str:
    """The costs in Markdown; three numbers in a cell are torch, ONNX float32, ONNX int8, two the latter."""
    header = (
        "model", "tower", "M parameters", "GFLOP", "file MB, fp32 / int8", "ms, batch 1, torch / fp32 / int8",
        f"a second, batch {batch}, torch / fp32 / int8", "peak MB, fp32 / int8",
    )  # fmt: skip
    rows = [header, tuple("---" for _ in header)]
    for cost in costs:
        smaller = "" if cost.batch == batch else f" (batch {cost.batch})"
        cells = (joined(cost.latency, 1), joined(cost.throughput, 1) + smaller, joined(cost.memory, 0))
        counts = (f"{cost.parameters / 1e6:.1f}", f"{cost.flops / 1e9:.2f}", joined(cost.megabytes, 0))
        rows.append((cost.model, cost.kind, *counts, *cells))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def joined(values: dict[str, float], digits: int) -> str:
    """The values of a cell."""
    return " / ".join(f"{value:,.{digits}f}" for value in values.values())


def figures(costs: list[Cost], student: str) -> dict[str, float]:
    """Throughput of a student's towers over those of the models that goals name, where they were measured."""
    rate = {(cost.model, cost.kind): cost.throughput["fp32"] for cost in costs}
    return {
        f"{plural}_vs_{short}": rate[student, kind] / rate[other, kind]
        for short, other in COMPARED.items()
        for kind, plural in KINDS.items()
        if (other, kind) in rate
    }


if __name__ == "__main__":
    main()
