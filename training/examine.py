"""The exam of a run: teacher and student on the same images and class names, and what is worth a look."""

from pathlib import Path

import numpy as np
import torch

from training import gate, zero_shot
from training.confusions import find_confusions, probabilities
from training.evidence import Example
from training.exams.metrics import top_k_hits
from training.exams.settings import ExamSource
from training.exams.sitting import sit_exams
from training.job import STUDENT
from training.student import contrast_scale, load_student
from training.teacher import load_teacher
from training.thumbnails import thumbnail


def examine_models(
    exam_folder: Path, teacher: Path, student: Path, num_examples: int, num_confusions: int
) -> tuple[dict, dict]:
    """(accuracies of teacher, student and chance with what was measured, `examples` and `confusions`).

    Args:
        num_confusions: at most so many in each language.
    """
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
        **_caveats(exam, scores),
        "student": {
            "parameters": candidate.num_parameters,
            "megabytes": (student / STUDENT / "model.safetensors").stat().st_size / 2**20,
        },
    }
    temperature = 1 / float(contrast_scale(candidate.model).detach())
    confusions = {
        lang: find_confusions(exam, rows, scores["teacher"][lang], temperature, num_confusions)
        for lang, rows in scores["student"].items()
    }
    examples = make_examples(exam, scores["student"], temperature, num_examples)
    return results, {"examples": examples, "confusions": confusions}


def _caveats(exam: zero_shot.Exam, scores: dict[str, dict[str, np.ndarray]]) -> dict:
    """What is to be known beside the figures, as far as there is any: see `training.zero_shot.Exam`.

    `ties_wrong` is top-1 of the teacher and the student when no class that shares its name counts as found.
    """
    found: dict = {"num_unreadable": exam.num_unreadable, "left_out": exam.left_out}
    if exam.duplicate_names:
        found["duplicate_names"] = exam.duplicate_names
        found["ties_wrong"] = {
            model: zero_shot.ties_wrong(
                {lang: top_k_hits(rows, exam.labels, 1) for lang, rows in by_language.items()}, exam
            )
            for model, by_language in scores.items()
        }
    return {name: value for name, value in found.items() if value}


def examine_published(sources: tuple[ExamSource, ...], teacher: Path, student: Path, step: str) -> list[dict]:
    """What published exams give of teacher and student, one result an exam; a teacher may not be there."""
    if not sources:
        return []
    encoders = {"teacher": load_teacher(teacher)} if teacher.is_dir() else {}
    candidate = load_student(student / STUDENT)
    candidate.model.to("cuda" if torch.cuda.is_available() else "cpu")
    encoders["student"] = zero_shot.StudentEncoder(candidate)
    return sit_exams(sources, encoders, step)


def make_examples(exam: zero_shot.Exam, scores: dict, temperature: float, num_examples: int) -> list[Example]:
    """Images spread evenly over the exam, with the student's top five labels in each language."""
    chosen = np.linspace(0, len(exam.images) - 1, min(num_examples, len(exam.images))).astype(int)
    return [
        Example(
            image=thumbnail(exam.images[number]),
            truth={lang: names[exam.labels[number]] for lang, names in exam.names.items()},
            top5={lang: _top5(scores[lang][number], exam.names[lang], temperature) for lang in scores},
        )
        for number in chosen
    ]


def _top5(cosines: np.ndarray, names: list[str], temperature: float) -> list[tuple[str, float]]:
    shares = probabilities(cosines, temperature)
    return [(names[number], float(shares[number])) for number in shares.argsort()[::-1][:5]]
