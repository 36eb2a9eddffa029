"""Step 10, register_student: the student becomes a version in the MLflow registry, champion or challenger.

Then all is known that the report of the run tells, so it is written here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.code_version import code_version
from infra.console import say
from infra.deadline import within
from infra.store import identity, read_done, read_json, write_json

REPORT = "report.html"


# As a part of an address and of a path: models:/NAME@ALIAS.
MODEL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


def require_model_name(name: str) -> str:
    """The name of a registered model.

    Raises:
        ValueError: it could be taken for a path, or for more than a name.
    """
    if not MODEL_NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"a model's name is of letters, digits, `.`, `_` and `-`, not {name!r}")
    return name


@dataclass(frozen=True)
class RegisterStudent:
    """The registered model's name, and by how much a language may be worse than the champion's top-1.

    A champion that has not sat the exam does so here. A registry that has not taken everything after
    `max_seconds` fails the step.
    """

    exam: str
    content: str = ""
    model: str = "dcclip"
    margin: float = 0.01
    max_seconds: float = 900.0

    def __post_init__(self):
        require_model_name(self.model)


def register(
    config: RegisterStudent,
    place: Path,
    engines: dict,
    student: Path,
    onnx: Path,
    results: Path,
    selection: Path,
    distilled: Path,
) -> dict:
    """Register the student with its ONNX files, figures and report; write `report.html`.

    Raises:
        StepError: the registry does not answer, or not in time. The files stay where they are, and the next
            try finds what this one has registered.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    from training import registry
    from training.registry_client import trouble
    from training.reporting.page import write_report

    steps = {"student": student, "onnx": onnx, "results": results}
    steps |= {"selection": selection, "distilled": distilled}
    candidate = make_candidate(config, steps)
    report = place / REPORT
    # Without the decision first, so that there is one if the registry does not answer.
    write_report(report, report_content(config, steps, candidate.tags))

    def work() -> dict:
        registry.connect(engines["mlflow_uri"], engines["mlflow_artifacts"], config.model)
        done = registry.register(candidate, config.margin)
        write_report(report, report_content(config, steps, candidate.tags, done))
        registry.attach(config.model, done["version"], report)
        return done

    try:
        done = within(config.max_seconds, work)
    except (MlflowException, RequestException, TimeoutError) as error:
        raise StepError(
            f"{trouble(engines['mlflow_uri'], error)}. The student is not lost, its files are in {onnx}, a "
            f"report without a decision is {report}: run again once the registry answers"
        ) from error
    say("register_student", f"{done['model']} version {done['version']} is {done['alias']}: {done['reason']}")
    write_json(place / "registered.json", done)
    return done


def make_candidate(config: RegisterStudent, steps: dict[str, Path]):
    """What the steps have left, as the registry takes it."""
    from training import gate
    from training.export import IMAGE, SETTINGS, TEXT
    from training.job import STUDENT
    from training.quantize import int8_name
    from training.registry import Candidate

    onnx, results = steps["onnx"], steps["results"]
    figures, records = read_json(results / "results.json"), {key: read_done(steps[key]) for key in steps}
    names = [IMAGE, TEXT, int8_name(IMAGE), int8_name(TEXT), SETTINGS]
    files = [results / "results.json", *(onnx / name for name in names)]
    if records["results"]["values"]["content"] != config.content:
        raise StepError("register_student.exam is another exam than evaluate_student.exam; name one in both")
    hits = gate.unpack(read_json(results / gate.HITS))
    return Candidate(
        model=config.model,
        identity=identity(*(steps[key].name for key in ("student", "onnx", "results"))),
        student=onnx / STUDENT,
        files=tuple(file for file in files if file.exists()),
        hits=hits,
        exam=Path(config.exam),
        exam_content=config.content,
        tags=lineage(steps, records, figures),
        figures={f"top1_{lang}": float(row.mean()) for lang, row in hits.items()},
    )


def report_content(
    config: RegisterStudent, steps: dict[str, Path], tags: dict[str, str], registered: dict | None = None
):
    """What the report of the run shows, without the decision as long as nothing is registered."""
    from training.reporting.gather import gather_report

    exported, results = (read_done(steps[key]) for key in ("onnx", "results"))
    attributions = tuple(results["values"].get("attributions", ()))
    return gather_report(steps["results"], exported["facts"], attributions, tags, config.margin, registered)


def lineage(steps: dict[str, Path], records: dict[str, dict], figures: dict) -> dict[str, str]:
    """Tags that tell where a version comes from and what it can do.

    `student`, `onnx`, `results` and `data` (select_pairs) are places in the store, named by content; `recipe`
    is a hash of how it was trained, `code` one of the whole pipeline's lines; `start` is `scratch`, or the
    version that training went on from.
    """
    training = [records[key]["values"] for key in ("distilled", "student")]
    tags = {key: steps[key].name for key in ("student", "onnx", "results")}
    tags |= {
        "data": steps["selection"].name,
        "recipe": identity(training),
        "code": code_version("pipelines.full"),
        "start": records["distilled"]["facts"].get("start", "scratch"),
    }
    tags |= {"exam": figures["exam"], "parameters": figures["student"]["parameters"]}
    tags |= _by_language("", figures["models"]["student"])
    if int8 := records["onnx"]["facts"].get("int8"):
        small = {lang: {"top1": value} for lang, value in int8["top1"]["int8"].items()}
        tags |= {**_by_language("int8_", small), "int8_drop_points": int8["drop_points"]}
    return {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in tags.items()}


def _by_language(prefix: str, marks: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"{prefix}{name}_{lang}": float(value) for lang, row in marks.items() for name, value in row.items()
    }


@step_component()
def register_student(
    config: dict,
    student: dsl.Input[dsl.Model],
    onnx: dsl.Input[dsl.Model],
    results: dsl.Input[dsl.Artifact],
    selection: dsl.Input[dsl.Dataset],
    distilled: dsl.Input[dsl.Model],
    registered: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Register the student in MLflow, decide on its alias, and report on the run."""
    from components.register_student import REPORT, RegisterStudent, register
    from components.step import run_step
    from infra.places import files_url

    inputs = {"student": student, "onnx": onnx, "results": results}
    inputs |= {"selection": selection, "distilled": distilled}
    # Of how it was trained, and on what, only the records.
    only = {"student": (), "selection": (), "distilled": ()}
    run_step("register_student", register, RegisterStudent, config, inputs, registered, only=only)
    report.uri = f"{files_url(registered.uri, registered.metadata)}/{REPORT}"
