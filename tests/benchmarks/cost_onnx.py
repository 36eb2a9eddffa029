"""Towers in ONNX Runtime: times of several by turns, and the memory that one takes alone. No torch here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from tests.benchmarks.towers.inputs import make_inputs
from tests.benchmarks.turns import Pace, median_seconds


@dataclass(frozen=True)
class OnnxTower:
    """A file, the `kind` and the side of what it takes, and the size of its larger batches."""

    path: Path
    kind: str
    side: int
    batch: int


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Ready to run with so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def time_onnx(towers: dict[str, OnnxTower], pace: Pace) -> dict[tuple[str, int], float]:
    """Median seconds of one image or text by name and batch size; the towers take turns."""
    sessions = {name: open_session(tower.path, pace.threads) for name, tower in towers.items()}
    seconds: dict[tuple[str, int], float] = {}
    for pick in (lambda tower: 1, lambda tower: tower.batch):
        batches = {name: pick(tower) for name, tower in towers.items()}
        runs = {name: make_run(sessions[name], towers[name], batches[name]) for name in towers}
        taken = median_seconds(runs, pace)
        seconds |= {(name, batches[name]): taken[name] / batches[name] for name in towers}
    return seconds


def make_run(session: onnxruntime.InferenceSession, tower: OnnxTower, batch: int) -> Callable[[], list]:
    """A function that runs a batch of this size and gives the session's outputs."""
    inputs = make_inputs(tower.kind, batch, tower.side)
    # An unused input, as a mask that changes nothing, is no input of the file.
    known = {item.name for item in session.get_inputs()}
    given = {name: item for name, item in inputs.items() if name in known}
    return lambda: session.run(None, given)


def peak_megabytes(tower: OnnxTower, threads: int) -> float:
    """Peak resident memory of this process, to be called in one of its own: load, then one batch of one."""
    make_run(open_session(tower.path, threads), tower, 1)()
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 2**10
