"""A training step as a value, and the files it leaves: what steps know of training without its libraries."""

from dataclasses import dataclass

from infra.console import say
from infra.storage import AnyPath
from infra.store import read_lines_of_json
from training.settings import Phase, StudentShape

CURVE = "curve.jsonl"
STUDENT = "student"
SUMMARY = "summary.json"
# What an attempt in object storage begins with: the curve, the run in MLflow, and, where training had
# ended and the step had not, the student, for Ray Train does not begin a run again that is done.
CARRIED = (CURVE, "mlflow_run.txt", SUMMARY, f"{STUDENT}/*")


@dataclass(frozen=True)
class TrainingJob:
    """A training step: where its data are, where it writes, what it starts from, its phases.

    `start` is a student's directory, or None for random weights of `shape` with the tokenizer in
    `tokenizer`. `num_threads` is for each worker. A checkpoint is taken at every `checkpoint_steps`-th step
    that comes `checkpoint_seconds` or more after the last one. An empty `mlflow_uri` logs no curve.
    """

    step: str
    embedded: AnyPath
    selection: AnyPath
    place: AnyPath
    width: int
    phases: tuple[Phase, ...]
    shape: StudentShape | None = None
    start: AnyPath | None = None
    tokenizer: AnyPath | None = None
    seed: int = 0
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int = 20
    mlflow_uri: str = ""
    mlflow_artifacts: str = ""
    num_threads: int = 1


def announce(job: TrainingJob) -> None:
    """Say what is about to be trained."""
    for phase in job.phases:
        towers = " and ".join(phase.towers)
        say(
            job.step,
            f"{phase.name}: {towers} tower, {phase.num_steps} steps of {phase.batch_size} {phase.data}",
        )


def read_curve(place: AnyPath) -> list[dict]:
    """Points of the loss curve in order; a step that was repeated after a restart counts once."""
    points = read_lines_of_json(place / CURVE)
    latest = {(point["phase"], point["step"]): point for point in points}
    return list(latest.values())
