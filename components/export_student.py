"""Step 9, export_student: the student as an application takes it: Hugging Face, ONNX, ONNX in int8."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say
from infra.storage import AnyPath
from infra.store import read_done, read_json

# The shards whose pictures calibrate int8.
CALIBRATION_SHARDS = "shards/0000[0369].tar"


@dataclass(frozen=True)
class ExportStudent:
    """How far the ONNX pair may be from torch (one minus the least cosine), and on which exam's inputs.

    With `int8` there are small twins of both files; ranges of convolutions are taken from `num_calibration`
    kept pictures. They too are compared on the exam, and what they lose is told, not judged.
    """

    exam: str
    content: str = ""
    max_cosine_gap: float = 1e-4
    int8: bool = True
    num_calibration: int = 200


def export(
    config: ExportStudent,
    place: Path,
    engines: dict,
    student: Path,
    embedded: AnyPath,
    selection: Path,
    results: Path,
) -> dict:
    """Write the towers, `onnx.json`, an example and `student/` with its model card.

    Raises:
        StepError: the towers disagree with torch, or int8 has no pictures to calibrate on.
    """
    from training.export import export_towers, write_companions
    from training.job import STUDENT
    from training.model_card import write_model_card
    from training.onnx_pair import compare_pair, read_sample
    from training.student import load_student

    trained = load_student(student / STUDENT)
    export_towers(trained, place)
    write_companions(trained, student / STUDENT, place)
    if config.int8:
        _quantize(config, place, trained, embedded)
    facts = compare_pair(place, trained, read_sample(Path(config.exam)), config.int8)
    gaps = facts["cosine_gap"]
    say(
        "export_student", f"image.onnx and text.onnx; furthest from torch: {max(gaps.values()):.1e} in cosine"
    )
    # Written so that NaN fails too.
    if not all(gap <= config.max_cosine_gap for gap in gaps.values()):
        raise StepError(f"the ONNX pair disagrees with torch: {gaps}, allowed {config.max_cosine_gap}")
    if config.int8:
        _tell(facts["int8"])
    card, exam = read_json(selection / "data_card.json"), read_json(results / "results.json")
    attributions = (read_done(results) or {}).get("values", {}).get("attributions", ())
    max_tokens = trained.tokenizer.model_max_length
    write_model_card(place / STUDENT, exam, card, facts.get("int8"), attributions, max_tokens)
    return facts


def _quantize(config: ExportStudent, place: Path, trained, embedded: AnyPath) -> None:
    """Write the int8 twins."""
    from training import quantize
    from training.calibration import calibration_pixels
    from training.export import IMAGE, TEXT

    paths = sorted(embedded.glob(CALIBRATION_SHARDS), key=str)
    pixels = calibration_pixels(paths, trained, config.num_calibration)
    try:
        quantize.quantize_image_tower(place / IMAGE, pixels)
    except quantize.NoPictures:
        raise StepError(
            f"{embedded / 'shards'} has no pictures to calibrate int8 on; embed_pairs makes them, or leave "
            "int8 out: --set export_student.int8=false"
        ) from None
    quantize.quantize_text_tower(place / TEXT)


def _tell(int8: dict) -> None:
    """Say what int8 costs."""
    megabytes, change = sum(int8["megabytes"].values()), -int8["drop_points"]
    say(
        "export_student",
        f"int8: {megabytes:.1f} MB, {change:+.1f} points of top-1, the mean of both languages",
    )


@step_component()
def export_student(
    config: dict,
    student: dsl.Input[dsl.Model],
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    results: dsl.Input[dsl.Artifact],
    onnx: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Export the towers as ONNX, float32 and int8, check them, and write the model card."""
    from components.export_student import ExportStudent, export
    from components.step import run_step

    inputs = {"student": student, "embedded": embedded, "selection": selection, "results": results}
    only = {"selection": ("data_card.json",), "results": ("results.json",)}
    given = {"only": only, "in_place": ("embedded",), "metrics": metrics}
    run_step("export_student", export, ExportStudent, config, inputs, onnx, **given)
