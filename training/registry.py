"""The registry: a run with figures and files, and a version of the model, written once however often tried.

MLflow is used here, in training/champion.py (who is champion), training/registry_*.py, training/tracking.py
(curves) and the served model's own code, nowhere else.

A version is found again by its tag `identity`, the places of what it is made of. It is created together with
all its tags, in one request, after its files are stored: a version that is there is whole. When a request was
carried out twice, or two attempts ran at once, the lowest number counts, the others get a tag `duplicate_of`.
"""

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

from infra.console import say
from training import gate, zero_shot
from training.champion import CHALLENGER, CHAMPION, by_number, settle, tag
from training.example_code import self_contained
from training.exams.metrics import top_k_hits
from training.registry_client import TAKEN, open_registry
from training.student import load_student

SERVED_MODEL = Path(__file__).with_name("served_model.py")
# A row that is none has an error of its own; with a type here MLflow would refuse the whole frame.
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType(), "image"), ColSpec(AnyType(), "labels")]),
    outputs=Schema(
        [
            ColSpec(DataType.string, "label", required=False),
            ColSpec(Array(DataType.double), "scores"),
            ColSpec(DataType.string, "error", required=False),
        ]
    ),
)
# A red square, as a request to a model server would have it: JSON knows no bytes.
RED = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42m"
    "P4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII="
)
EXAMPLE = pd.DataFrame({"image": [RED], "labels": [["red", "红色", "a lemon"]]})
IDENTITY, EXAM = "identity", "exam_content"
# The version that this one was last compared with, and the differences, as JSON.
COMPARISON = "comparison"


@dataclass(frozen=True)
class Candidate:
    """A student that wants to be a version.

    `identity` tells it from others. `student` is its directory, `files` what else its run keeps, `hits` its
    answers to the exam in the folder `exam`, of which `exam_content` is the fingerprint. `tags` are further
    ones of the version, `figures` numbers of its run.
    """

    model: str
    identity: str
    student: Path
    files: tuple[Path, ...]
    hits: gate.Hits
    exam: Path
    exam_content: str
    tags: dict[str, str]
    figures: dict[str, float]


def connect(uri: str, artifacts: str, experiment: str) -> None:
    """Use the tracking server or database at `uri`; an empty `artifacts` leaves their place to the server."""
    open_registry(uri)
    if mlflow.get_experiment_by_name(experiment) is None:
        try:
            mlflow.create_experiment(experiment, artifact_location=artifacts or None)
        except MlflowException as error:
            # Another run was faster.
            if error.error_code not in TAKEN:
                raise
    mlflow.set_experiment(experiment)


def register(candidate: Candidate, margin: float) -> dict:
    """Make the candidate a version, champion or challenger; returns what was done.

    `comparison` has the number and parameters of the version it was last compared with, and the differences;
    it is empty where there was none.
    """
    client = MlflowClient()
    version = find_version(client, candidate) or _create_version(client, candidate)
    rivals: list[ModelVersion | None] = []

    def compare(champion: ModelVersion | None) -> gate.Decision:
        rivals.append(champion)
        hits = None if champion is None else hits_of(client, champion, candidate)
        return gate.decide(candidate.hits, hits, margin)

    decision = settle(client, candidate.model, version, compare)
    intervals = {f"gain_{name}": str(found) for name, found in decision.differences.items()}
    compared = {COMPARISON: json.dumps(_comparison(rivals[-1], decision))} if intervals else {}
    tag(client, candidate.model, version, intervals | compared)
    alias = CHAMPION if decision.promote else CHALLENGER
    done = {"model": candidate.model, "version": int(version), "alias": alias, "reason": decision.reason}
    # From the tag, so that a try after the decision tells the same.
    tags = by_number(client, candidate.model, int(version)).tags
    return done | {"gains": intervals, "comparison": json.loads(tags.get(COMPARISON, "{}"))}


def _comparison(rival: ModelVersion, decision: gate.Decision) -> dict:
    differences = {name: asdict(found) for name, found in decision.differences.items()}
    size = {name: rival.tags[name] for name in ("parameters",) if name in rival.tags}
    return {"version": int(rival.version), **size, "differences": differences}


def attach(model: str, version: int, file: Path) -> None:
    """Keep a file with the run of a version; one of that name is replaced."""
    client = MlflowClient()
    client.log_artifact(by_number(client, model, version).run_id, str(file))


def find_version(client: MlflowClient, candidate: Candidate) -> str | None:
    """The number of the version that an earlier try has made; others that it made are marked."""
    wanted = f"name='{candidate.model}' and tags.{IDENTITY}='{candidate.identity}'"
    numbers = sorted(int(version.version) for version in client.search_model_versions(wanted))
    for number in numbers[1:]:
        tag(client, candidate.model, str(number), {"duplicate_of": str(numbers[0])})
    return str(numbers[0]) if numbers else None


def _create_version(client: MlflowClient, candidate: Candidate) -> str:
    """Store run and files, then create the version with all its tags."""
    tags = {IDENTITY: candidate.identity, EXAM: candidate.exam_content, **candidate.tags}
    with mlflow.start_run(run_id=_earlier_run(candidate.identity), tags=tags):
        mlflow.log_metrics(candidate.figures)
        mlflow.log_dict(gate.pack(candidate.hits), gate.HITS)
        for file in candidate.files:
            mlflow.log_artifact(str(file))
        logged = _log_model(candidate.student)
    mlflow.register_model(logged.model_uri, candidate.model, await_registration_for=60, tags=tags)
    # Looked up, not taken from the answer: the request may have been repeated and answered twice.
    version = find_version(client, candidate)
    assert version is not None
    return version


def _log_model(student: Path) -> ModelInfo:
    """Store the served model's code and the student with the current run."""
    with tempfile.TemporaryDirectory() as place:
        code = Path(place, SERVED_MODEL.name)
        code.write_text(self_contained(SERVED_MODEL))
        return mlflow.pyfunc.log_model(
            name="student",
            python_model=str(code),
            artifacts={"student": str(student)},
            signature=SIGNATURE,
            input_example=EXAMPLE,
            # What is not named here cannot be set when the model is loaded.
            model_config={"paths": None},
            pip_requirements=["mlflow", "numpy", "pandas", "pillow", "torch", "transformers"],
        )


def _earlier_run(identity: str) -> str | None:
    """The run that an interrupted try has begun."""
    wanted = f"tags.{IDENTITY}='{identity}'"
    found = mlflow.search_runs(filter_string=wanted, max_results=1, output_format="list")
    return found[0].info.run_id if found else None


def hits_of(client: MlflowClient, champion: ModelVersion, candidate: Candidate) -> gate.Hits:
    """What the champion answered to the candidate's exam: as stored with it, or examined now.

    Stored answers count when the exam's fingerprint is the same. A champion of another exam, or without
    stored answers, is fetched and sits this exam.
    """
    if champion.tags.get(EXAM) == candidate.exam_content:
        with suppress(MlflowException, FileNotFoundError):
            return gate.unpack(mlflow.artifacts.load_dict(f"runs:/{champion.run_id}/{gate.HITS}"))
    say("register_student", f"version {champion.version} has not sat this exam, so it does now")
    return examine(champion, candidate.exam)


def examine(version: ModelVersion, exam_folder: Path) -> gate.Hits:
    """Let a registered student sit an exam."""
    model = mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}")
    folder = _student_in(model)
    exam = zero_shot.read_exam(exam_folder)
    scores = zero_shot.similarities(zero_shot.StudentEncoder(load_student(folder)), exam)
    return {lang: top_k_hits(rows, exam.labels, 1) for lang, rows in scores.items()}


def _student_in(model: str) -> Path:
    """The Hugging Face directory in the folder of a registered model."""
    return next(Path(model).rglob("model.safetensors")).parent


def fetch_student(address: str, folder: Path) -> None:
    """Copy a registered student's directory to `folder`, whole or not at all; code beside it stays there.

    Args:
        address: `models:/NAME/NUMBER`, in the registry that is open.
    """
    if folder.exists():
        return
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        for file in _student_in(mlflow.artifacts.download_artifacts(address, dst_path=scratch)).iterdir():
            if file.suffix in (".json", ".safetensors", ".txt"):
                shutil.copyfile(file, partial / file.name)
    partial.replace(folder)
