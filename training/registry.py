"""The edge to MLflow: a run with figures and files, a registered version, and who is champion.

Nothing else in the project imports MLflow, but the served model's own code.
"""

from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

SERVED_MODEL = Path(__file__).with_name("served_model.py")
# No such model, or no such alias; anything else is a registry in trouble, and no reason to promote.
NO_CHAMPION = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
CHAMPION, CHALLENGER = "champion", "challenger"
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType(), "image"), ColSpec(Array(DataType.string), "labels")]),
    outputs=Schema([ColSpec(DataType.string, "label"), ColSpec(Array(DataType.double), "scores")]),
)


@dataclass(frozen=True)
class Decision:
    """Whether a new version becomes champion, and why."""

    promote: bool
    reason: str


def decide(new: dict[str, float], champion: dict[str, float] | None, margin: float) -> Decision:
    """Promote when no language is worse than the champion's by more than `margin` and the mean is better.

    Args:
        new: top-1 accuracy per language; likewise `champion`, None when there is none.
    """
    if champion is None:
        return Decision(True, "the first version")
    for lang, accuracy in new.items():
        if accuracy < champion[lang] - margin:
            return Decision(False, f"{lang} top-1 {accuracy:.3f} is worse than {champion[lang]:.3f}")
    ours, theirs = (sum(each.values()) / len(each) for each in (new, champion))
    verdict = "better" if ours > theirs else "no better"
    return Decision(ours > theirs, f"mean top-1 {ours:.3f} is {verdict} than the champion's {theirs:.3f}")


def connect(uri: str, artifacts: str, experiment: str) -> None:
    """Use the tracking server or database at `uri`; an empty `artifacts` leaves their place to the server."""
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=artifacts or None)
    mlflow.set_experiment(experiment)


def champion_accuracy(client: mlflow.MlflowClient, model: str) -> dict[str, float] | None:
    """The champion's top-1 per language from its tags, None without a champion."""
    try:
        version = client.get_model_version_by_alias(model, CHAMPION)
    except MlflowException as error:
        if error.error_code not in NO_CHAMPION:
            raise
        return None
    return {lang: float(version.tags[f"top1_{lang}"]) for lang in ("zh", "en")}


def register(
    model: str, student: Path, files: list[Path], accuracy: dict[str, float], facts: dict, margin: float
) -> dict:
    """Log a run with the student and its files, register it, move an alias; returns what was done.

    Args:
        accuracy: top-1 per language, which the gate reads.
        facts: further tags of the version.
    """
    client = mlflow.MlflowClient()
    decision = decide(accuracy, champion_accuracy(client, model), margin)
    with mlflow.start_run():
        mlflow.log_metrics({f"top1_{lang}": value for lang, value in accuracy.items()})
        for file in files:
            mlflow.log_artifact(str(file))
        logged = mlflow.pyfunc.log_model(
            name="student",
            python_model=str(SERVED_MODEL),
            artifacts={"student": str(student)},
            registered_model_name=model,
            signature=SIGNATURE,
            pip_requirements=["mlflow", "pandas", "pillow", "torch", "transformers"],
        )
    version = logged.registered_model_version
    alias = CHAMPION if decision.promote else CHALLENGER
    tags = {f"top1_{lang}": value for lang, value in accuracy.items()} | facts
    for name, value in (tags | {"decision": decision.reason}).items():
        client.set_model_version_tag(model, version, name, str(value))
    client.set_registered_model_alias(model, alias, version)
    return {"model": model, "version": int(version), "alias": alias, "reason": decision.reason}
