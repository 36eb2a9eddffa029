"""Step 9, export_student: the student as a pair of ONNX files, checked against torch."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say


@dataclass(frozen=True)
class ExportStudent:
    """How far the ONNX pair may be from torch (one minus the least cosine), and on which exam's inputs."""

    exam: str
    content: str = ""
    max_cosine_gap: float = 1e-4


def export(config: ExportStudent, place: Path, engines: dict, student: Path) -> dict:
    """Write `image.onnx` and `text.onnx`, and fail when they disagree with torch."""
    from training.export import compare_on_exam, export_towers
    from training.job import STUDENT
    from training.student import load_student

    trained = load_student(student / STUDENT)
    export_towers(trained, place)
    gaps = compare_on_exam(place, trained, Path(config.exam))
    say(
        "export_student", f"image.onnx and text.onnx; furthest from torch: {max(gaps.values()):.1e} in cosine"
    )
    if max(gaps.values()) > config.max_cosine_gap:
        raise StepError(f"the ONNX pair disagrees with torch: {gaps}, allowed {config.max_cosine_gap}")
    return {"cosine_gap": gaps}


@step_component()
def export_student(config: dict, student: dsl.Input[dsl.Model], onnx: dsl.Output[dsl.Model]):
    """Export the towers as ONNX and check them."""
    from components.export_student import ExportStudent, export
    from components.step import run_step

    run_step("export_student", export, ExportStudent, config, {"student": student}, onnx)
