"""Step 7, align_student: DC-CLIP's stage 2. Both towers are aligned on image-text pairs."""

from dataclasses import dataclass

from kfp import dsl

from components.image import step_component
from infra.storage import AnyPath
from infra.store import read_json
from training.settings import Phase


@dataclass(frozen=True)
class AlignStudent:
    """The phases that align the towers."""

    phases: tuple[Phase, ...]
    num_workers: int = 2
    use_gpu: bool = False
    seed: int = 0


def align(
    config: AlignStudent,
    place: AnyPath,
    engines: dict,
    embedded: AnyPath,
    selection: AnyPath,
    distilled: AnyPath,
) -> dict:
    """Go on from stage 1's student and write the final one to `place/student`."""
    from training.job import STUDENT, TrainingJob
    from training.run import train_student

    job = TrainingJob(
        step="align_student",
        embedded=embedded,
        selection=selection,
        place=place,
        width=read_json(embedded / "embedded.json")["width"],
        phases=config.phases,
        start=distilled / STUDENT,
        seed=config.seed,
        mlflow_uri=engines["mlflow_uri"],
        mlflow_artifacts=engines["mlflow_artifacts"],
    )
    return train_student(job, engines["ray_address"], config.num_workers, config.use_gpu)


@step_component()
def align_student(
    config: dict,
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    distilled: dsl.Input[dsl.Model],
    student: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Stage 2 with Ray Train: contrastive alignment in both languages."""
    from components.align_student import AlignStudent, align
    from components.step import run_step
    from training.job import CARRIED

    inputs = {"embedded": embedded, "selection": selection, "distilled": distilled}
    given = {"in_place": tuple(inputs), "finished_by": (), "carried": CARRIED, "metrics": metrics}
    run_step("align_student", align, AlignStudent, config, inputs, student, **given)
