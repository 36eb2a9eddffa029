"""The exam of a run and what its report shows: teacher and student on the same images and class names."""

import io
from pathlib import Path

import numpy as np
import torch

from infra.store import SAMPLES, read_json
from training import gate, zero_shot
from training.exams import results as exam_results
from training.exams.metrics import top_k_hits
from training.exams.settings import ExamSource
from training.exams.sitting import sit_exams
from training.job import STUDENT, read_curve
from training.report import DropSample, DropSheet, Example, ExamTable, FunnelStage, ReportContent
from training.student import contrast_scale, load_student
from training.teacher import load_teacher


def examine_models(exam_folder: Path, teacher: Path, student: Path, num_examples: int) -> tuple[dict, list]:
    """(accuracies of teacher, student and chance with what was measured, examples for the report)."""
    exam = zero_shot.read_exam(exam_folder)
    candidate = load_student(student / STUDENT)
    scores = {
        "teacher": zero_shot.similarities(load_teacher(teacher), exam),
        "student": zero_shot.similarities(zero_shot.StudentEncoder(candidate), exam),
    }
    models = {name: zero_shot.accuracies(rows, exam.labels) for name, rows in scores.items()}
    hits = {lang: top_k_hits(rows, exam.labels, 1) for lang, rows in scores["student"].items()}
    results = {
        "exam": exam_folder.name,
        "num_images": len(exam.images),
        "num_classes": len(exam.names["en"]),
        "models": {**models, "chance": zero_shot.chance(exam)},
        "hits": gate.pack(hits),
        "student": {
            "parameters": candidate.num_parameters,
            "megabytes": (student / STUDENT / "model.safetensors").stat().st_size / 2**20,
        },
    }
    scale = float(contrast_scale(candidate.model).detach())
    return results, make_examples(exam, scores["student"], 1 / scale, num_examples)


def examine_published(sources: tuple[ExamSource, ...], teacher: Path, student: Path, step: str) -> list[dict]:
    """What published exams give of teacher and student, one result an exam; a teacher may not be there."""
    if not sources:
        return []
    encoders = {"teacher": load_teacher(teacher)} if teacher.is_dir() else {}
    candidate = load_student(student / STUDENT)
    candidate.model.to("cuda" if torch.cuda.is_available() else "cpu")
    encoders["student"] = zero_shot.StudentEncoder(candidate)
    return sit_exams(sources, encoders, step)


def exam_tables(exams: list[dict]) -> list[ExamTable]:
    """Published exams as the report shows them."""
    return [
        ExamTable(exam["name"], *exam_results.table(exam), [item["set"] for item in exam["skipped"]])
        for exam in exams
    ]


def make_examples(exam: zero_shot.Exam, scores: dict, temperature: float, num_examples: int) -> list[Example]:
    """Images spread evenly over the exam, with the student's top five labels in each language."""
    chosen = np.linspace(0, len(exam.images) - 1, min(num_examples, len(exam.images))).astype(int)
    return [
        Example(
            image=_png(exam.images[number]),
            truth={lang: names[exam.labels[number]] for lang, names in exam.names.items()},
            top5={lang: _top5(scores[lang][number] / temperature, exam.names[lang]) for lang in scores},
        )
        for number in chosen
    ]


def _png(image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _top5(logits: np.ndarray, names: list[str]) -> list[tuple[str, float]]:
    odds = np.exp(logits - logits.max())
    probabilities = odds / odds.sum()
    return [(names[number], float(probabilities[number])) for number in probabilities.argsort()[::-1][:5]]


def gather_report(
    results: dict, examples: list, facts: dict[str, dict], steps: dict[str, Path], attributions: tuple
) -> ReportContent:
    """The report's content from the facts that each step recorded."""
    rows = [{"model": name, **accuracy} for name, accuracy in results["models"].items()]
    return ReportContent(
        title="dcclip: a bilingual CLIP from URL lists",
        about=_about(results, facts),
        funnel=_funnel(facts),
        curves={
            "distill_student": read_curve(steps["distilled"]),
            "align_student": read_curve(steps["student"]),
        },
        exam={
            "name": results["exam"],
            "num_classes": results["num_classes"],
            "num_images": results["num_images"],
            "rows": rows,
        },
        examples=examples,
        attributions=list(attributions),
        drops=[*_drops(steps["pairs"]), *_drops(steps["selection"])],
    )


def _drops(step: Path) -> list[DropSheet]:
    """What a step kept of the rows it dropped, to look at."""
    folder = step / SAMPLES
    return drop_sheets(read_json(folder / "samples.json"), folder)


def drop_sheets(samples: list[dict], pictures: Path) -> list[DropSheet]:
    """The samples of spark_jobs/drop_samples.py for the report, one sheet a step and reason."""
    sheets: dict[tuple[str, str], list[DropSample]] = {}
    for row in samples:
        file = pictures / row["picture"] if row["picture"] else None
        captions = {"zh": row["zh"], "en": row["en"]}
        sample = DropSample(file.read_bytes() if file else None, captions, row["url"])
        sheets.setdefault((row["step"], row["reason"]), []).append(sample)
    return [DropSheet(step, reason, found) for (step, reason), found in sheets.items()]


def _about(results: dict, facts: dict[str, dict]) -> dict[str, str]:
    captions, crawl = facts["selection"]["captions"], facts["raw"]["crawl"]
    return {
        "Teacher": facts["teacher"]["described"],
        "Student parameters": f"{results['student']['parameters'] / 1e6:.1f} million",
        "Student file": f"{results['student']['megabytes']:.1f} MB",
        "Crawl": f"{crawl['downloaded']:,} images of {crawl['urls']:,} URLs ({crawl['success_rate']:.1%}), "
        f"{crawl['images_per_second']:,.0f} a second",
        "Training pairs": f"{facts['selection']['kept']:,}",
        "Captions": f"{captions['zh']:,} Chinese, {captions['en']:,} English",
    }


def _funnel(facts: dict[str, dict]) -> list[FunnelStage]:
    crawl, judged, selected = facts["raw"], facts["pairs"], facts["selection"]
    lists = {**crawl["dropped"], "joined_by_url": crawl["joined_by_url"]}
    return [
        FunnelStage("url_lists", crawl["rows"], crawl["urls"], lists),
        FunnelStage("filter_pairs", judged["input"], judged["kept"], judged["dropped"]),
        FunnelStage("select_pairs", selected["input"], selected["kept"], selected["dropped"]),
    ]
