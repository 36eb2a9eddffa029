"""Step 8, evaluate_student: the zero-shot exam in both languages, and the evidence for the report."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say
from infra.store import write_json
from training.exams.settings import ExamSource


@dataclass(frozen=True)
class EvaluateStudent:
    """The exam's folder; `content` is filled in when the recipe is resolved.

    The report shows `num_examples` pictures, and `num_confusions` in each language. `attributions` end it:
    who made the data. `exams` are published ones that teacher and student sit besides.
    """

    exam: str
    content: str = ""
    num_examples: int = 24
    num_confusions: int = 9
    attributions: tuple[str, ...] = ()
    exams: tuple[ExamSource, ...] = ()


def examine(config: EvaluateStudent, place: Path, engines: dict, **steps: Path) -> dict:
    """Let teacher and student sit the exam; write `results.json`, `hits.json` and `evidence.json`.

    Of published exams, if there are any, `exams.json` has every figure, the facts the means.

    Args:
        steps: the places of all steps before this one, by their names in the pipeline.
    """
    from training.evidence import gather_evidence, write_evidence
    from training.examine import examine_models, examine_published
    from training.exams.results import own_notes, summary
    from training.gate import HITS
    from training.teacher_size import count_parameters

    say("evaluate_student", f"zero-shot exam {Path(config.exam).name}, in English and Chinese")
    results, shown = examine_models(
        Path(config.exam), steps["teacher"], steps["student"], config.num_examples, config.num_confusions
    )
    for model in ("teacher", "student"):
        top1 = {lang: f"{100 * results['models'][model][lang]['top1']:.1f}%" for lang in ("en", "zh")}
        say("evaluate_student", f"{model} top-1 of {results['num_classes']} unseen concepts: {top1}")
    for note in own_notes(results):
        say("evaluate_student", note)
    published = examine_published(config.exams, steps["teacher"], steps["student"], "evaluate_student")
    if published:
        write_json(place / "exams.json", published)
        results["exams"] = [summary(exam) for exam in published]
    write_json(place / HITS, results.pop("hits"))
    write_json(place / "results.json", results)
    write_evidence(
        place, gather_evidence(steps, **shown, teacher_parameters=count_parameters(steps["teacher"]))
    )
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
    metrics: dsl.Output[dsl.Metrics],
):
    """Zero-shot exam in both languages."""
    from components.evaluate_student import EvaluateStudent, examine
    from components.step import run_step
    from infra.store import SAMPLES
    from training.job import CURVE

    inputs = {"raw": raw, "pairs": pairs, "teacher": teacher, "selection": selection}
    inputs |= {"distilled": distilled, "student": student}
    # Of the data it reads records and samples of what was dropped, of stage 1 the curve.
    only = {"raw": (), "pairs": (f"{SAMPLES}/*",), "selection": (f"{SAMPLES}/*",), "distilled": (CURVE,)}
    run_step(
        "evaluate_student", examine, EvaluateStudent, config, inputs, results, only=only, metrics=metrics
    )
