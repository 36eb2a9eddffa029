"""The report's content: from the evidence of a run, its exams, its export, and what became of it."""

from pathlib import Path

from infra.store import read_json
from training.evidence import read_evidence
from training.exams.results import own_notes
from training.exams.settings import MODELS
from training.reporting.baselines import load_baselines
from training.reporting.comparisons import compare, elsewhere
from training.reporting.content import ReportContent
from training.reporting.cost import choose_yardstick, draw_cost
from training.reporting.decision import read_decision
from training.reporting.funnel import funnel_stages
from training.reporting.trained_on import trained_on

TITLE = "dcclip: a bilingual CLIP from URL lists"
EXAMS = "exams.json"


def gather_report(
    results_folder: Path,
    exported: dict,
    attributions: tuple[str, ...],
    tags: dict[str, str],
    margin: float,
    registered: dict | None = None,
) -> ReportContent:
    """All that the report shows.

    Args:
        results_folder: evaluate_student's place.
        exported: the facts of export_student.
        tags: where the version comes from, as `components.register_student.lineage` has it.
        margin: by how much a language may be worse than the champion's, a share of 1.
        registered: what `training.registry.register` returned, None before that.
    """
    evidence, results = read_evidence(results_folder), read_json(results_folder / "results.json")
    exams = read_json(results_folder / EXAMS) if (results_folder / EXAMS).exists() else []
    baselines, records = load_baselines(), evidence.records
    sizes = {"student": results["student"]["parameters"], "teacher": evidence.teacher_parameters}
    top1 = {lang: marks["top1"] for lang, marks in results["models"]["student"].items()}
    yardstick = choose_yardstick(results, exams, baselines)
    # A run that sat none of others' exams shows them apart.
    others = [] if yardstick.same else [elsewhere(baselines)]
    return ReportContent(
        title=TITLE,
        exam=_exam(results, exported),
        decision=read_decision(registered, top1, sizes["student"], margin) if registered else None,
        comparisons=[compare(exam, baselines) for exam in exams] + others,
        cost=draw_cost(yardstick, sizes, baselines),
        confusions=evidence.confusions,
        trained_on=trained_on(records, results, exported, evidence.teacher_parameters, tags),
        funnel=funnel_stages(*(records[name]["facts"] for name in ("raw", "pairs", "selection"))),
        drops=evidence.drops,
        curves=evidence.curves,
        examples=evidence.examples,
        attributions=list(attributions),
    )


def _exam(results: dict, exported: dict) -> dict:
    """The run's own exam; the student in int8 has its row after the student's."""
    rows = {name: {"model": name, **marks} for name, marks in results["models"].items()}
    if int8 := exported.get("int8"):
        small = {lang: {"top1": share} for lang, share in int8["top1"]["int8"].items()}
        rows["student in int8"] = {"model": "student in int8", **small}
    order = sorted(rows, key=lambda name: (*MODELS, "student in int8", "chance").index(name))
    return {
        "name": results["exam"].replace("_", " "),
        "num_classes": results["num_classes"],
        "num_images": results["num_images"],
        "rows": [rows[name] for name in order],
        "notes": own_notes(results),
    }
