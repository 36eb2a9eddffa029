"""Step 6, distill_student: DC-CLIP's stage 1. Each tower of a new student learns the teacher's vectors."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say
from infra.store import read_json
from training.settings import Phase, StudentShape


@dataclass(frozen=True)
class DistillStudent:
    """The student and the phases that train its towers."""

    student: StudentShape
    phases: tuple[Phase, ...]
    num_workers: int = 2
    use_gpu: bool = False
    seed: int = 0


def distill(config: DistillStudent, place: Path, engines: dict, embedded: Path, selection: Path) -> dict:
    """Train the tokenizer, then the student, and write it to `place/student`."""
    from training.data import read_selection, training_texts
    from training.job import TrainingJob
    from training.run import train_student
    from training.tokenizer import train_tokenizer

    texts = training_texts(embedded, read_selection(selection))
    shape = config.student
    tokenizer = train_tokenizer(texts, shape.vocab_size, shape.max_tokens)
    tokenizer.save_pretrained(place / "tokenizer")
    say("distill_student", f"tokenizer of {len(tokenizer)} tokens for both languages")
    job = TrainingJob(
        step="distill_student",
        embedded=embedded,
        selection=selection,
        place=place,
        width=read_json(embedded / "embedded.json")["width"],
        phases=config.phases,
        shape=shape,
        tokenizer=place / "tokenizer",
        seed=config.seed,
        mlflow_uri=engines["mlflow_uri"],
        mlflow_artifacts=engines["mlflow_artifacts"],
    )
    return train_student(job, engines["ray_address"], config.num_workers, config.use_gpu)


@step_component()
def distill_student(
    config: dict,
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    distilled: dsl.Output[dsl.Model],
):
    """Stage 1 with Ray Train: feature distillation, each tower at its own pace."""
    from components.distill_student import DistillStudent, distill
    from components.step import run_step

    inputs = {"embedded": embedded, "selection": selection}
    run_step("distill_student", distill, DistillStudent, config, inputs, distilled)
