"""Step 8, evaluate_student: the zero-shot exam in both languages, and the report of the run (HTML)."""

from dataclasses import dataclass, replace
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say
from infra.store import read_done, write_json
from training.exams.settings import ExamSource


@dataclass(frozen=True)
class EvaluateStudent:
    """The exam's folder; `content` is filled in when the recipe is resolved.

    `attributions` end the report: who made the data. `exams` are published ones that teacher and student sit
    besides.
    """

    exam: str
    content: str = ""
    num_examples: int = 24
    attributions: tuple[str, ...] = ()
    exams: tuple[ExamSource, ...] = ()


def examine(config: EvaluateStudent, place: Path, engines: dict, **steps: Path) -> dict:
    """Let teacher and student sit the exam; write `results.json`, `hits.json` and `report.html`.

    Of published exams, if there are any, `exams.json` has every figure, the facts the means.

    Args:
        steps: the places of all steps before this one, by their names in the pipeline.
    """
    from training.examine import exam_tables, examine_models, examine_published, gather_report
    from training.exams.results import summary
    from training.gate import HITS
    from training.report import write_report

    say("evaluate_student", f"zero-shot exam {Path(config.exam).name}, in English and Chinese")
    results, examples = examine_models(
        Path(config.exam), steps["teacher"], steps["student"], config.num_examples
    )
    for model in ("teacher", "student"):
        top1 = {lang: f"{100 * results['models'][model][lang]['top1']:.1f}%" for lang in ("en", "zh")}
        say("evaluate_student", f"{model} top-1 of {results['num_classes']} unseen concepts: {top1}")
    published = examine_published(config.exams, steps["teacher"], steps["student"], "evaluate_student")
    if published:
        write_json(place / "exams.json", published)
        results["exams"] = [summary(exam) for exam in published]
    write_json(place / HITS, results.pop("hits"))
    write_json(place / "results.json", results)
    records = {name: read_done(path) or {"facts": {}} for name, path in steps.items()}
    facts = {name: record["facts"] for name, record in records.items()}
    content = gather_report(results, examples, facts, steps, config.attributions)
    write_report(place / "report.html", replace(content, exams=exam_tables(published)))
    return results


@step_component()
def evaluate_student(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    selection: dsl.Input[dsl.Dataset],
    distilled: dsl.Input[dsl.Model],
    student: dsl.Input[dsl.Model],
    results: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Zero-shot exam in both languages, and the report."""
    from components.evaluate_student import EvaluateStudent, examine
    from components.step import run_step
    from infra.places import files_url
    from infra.store import SAMPLES
    from training.job import CURVE

    inputs = {"raw": raw, "pairs": pairs, "teacher": teacher, "selection": selection}
    inputs |= {"distilled": distilled, "student": student}
    # Of the data it reads records and samples of what was dropped, of stage 1 the curve.
    only = {"raw": (), "pairs": (f"{SAMPLES}/*",), "selection": (f"{SAMPLES}/*",), "distilled": (CURVE,)}
    run_step("evaluate_student", examine, EvaluateStudent, config, inputs, results, only=only)
    report.uri = f"{files_url(results.uri, results.metadata)}/report.html"
