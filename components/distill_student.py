"""Step 6, distill_student: DC-CLIP's stage 1. Each tower of a new student learns the teacher's vectors."""

from collections.abc import Iterable
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
    from training.embedded import Embedded
    from training.job import TrainingJob
    from training.run import train_student
    from training.selection import Selection

    shape, width = config.student, read_json(embedded / "embedded.json")["width"]
    texts = Embedded(embedded, Selection(selection), width).training_texts()
    tokenizer = _make_tokenizer(texts, shape, place)
    job = TrainingJob(
        step="distill_student",
        embedded=embedded,
        selection=selection,
        place=place,
        width=width,
        phases=config.phases,
        shape=shape,
        tokenizer=place / "tokenizer",
        seed=config.seed,
        mlflow_uri=engines["mlflow_uri"],
        mlflow_artifacts=engines["mlflow_artifacts"],
    )
    facts = train_student(job, engines["ray_address"], config.num_workers, config.use_gpu)
    return {**facts, "tokenizer": tokenizer}


def _make_tokenizer(texts: Iterable[str], shape: StudentShape, place: Path) -> dict:
    """Write `place/tokenizer`; returns its facts: its size, the texts it learned from, tokens a text."""
    from training.tokenizer import sample_texts, tokens_per_text, train_tokenizer

    sample, num_texts = sample_texts(texts)
    tokenizer = train_tokenizer(sample, shape.vocab_size, shape.max_tokens)
    tokenizer.save_pretrained(place / "tokenizer")
    lengths = tokens_per_text(tokenizer, sample_texts(sample, 10_000)[0])
    by_language = ", ".join(f"{count:.1f} {lang}" for lang, count in lengths.items())
    say(
        "distill_student",
        f"tokenizer of {len(tokenizer)} tokens for both languages; a text has {by_language}",
    )
    counts = {"tokens": len(tokenizer), "texts": num_texts, "learned_from": len(sample)}
    return {**counts, "tokens_per_text": lengths}


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
