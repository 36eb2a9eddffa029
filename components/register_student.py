"""Step 10, register_student: the student becomes a version in the MLflow registry, champion or challenger."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say
from infra.store import read_json, write_json


@dataclass(frozen=True)
class RegisterStudent:
    """The registered model's name, and by how much a language may be worse than the champion's top-1."""

    model: str = "dcclip"
    margin: float = 0.01


def register(
    config: RegisterStudent, place: Path, engines: dict, student: Path, onnx: Path, results: Path
) -> dict:
    """Register the student with its ONNX pair, report and figures."""
    from training import registry
    from training.job import STUDENT

    figures = read_json(results / "results.json")
    accuracy = {lang: figures["models"]["student"][lang]["top1"] for lang in ("zh", "en")}
    files = [results / "report.html", results / "results.json", onnx / "image.onnx", onnx / "text.onnx"]
    facts = {"student": student.name, "exam": figures["exam"], "parameters": figures["student"]["parameters"]}
    registry.connect(engines["mlflow_uri"], engines["mlflow_artifacts"], config.model)
    done = registry.register(config.model, student / STUDENT, files, accuracy, facts, config.margin)
    say("register_student", f"{done['model']} version {done['version']} is {done['alias']}: {done['reason']}")
    write_json(place / "registered.json", done)
    return done


@step_component()
def register_student(
    config: dict,
    student: dsl.Input[dsl.Model],
    onnx: dsl.Input[dsl.Model],
    results: dsl.Input[dsl.Artifact],
    registered: dsl.Output[dsl.Artifact],
):
    """Register the student in MLflow and decide on its alias."""
    from components.register_student import RegisterStudent, register
    from components.step import run_step

    inputs = {"student": student, "onnx": onnx, "results": results}
    run_step("register_student", register, RegisterStudent, config, inputs, registered)
