"""Step 6, distill_student: DC-CLIP's stage 1. Each tower of a student learns the teacher's vectors.

The student is new, with a tokenizer made from the data, or it is the champion, which goes on with its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say
from infra.storage import AnyPath, copied, saved
from infra.store import read_json, read_whole, write_json
from training.settings import Phase, StudentShape

STARTS = SCRATCH, CHAMPION = ("scratch", "champion")
TOKENIZER_FACTS = "tokenizer_facts.json"
ANEW = "distill_student.start=scratch"


@dataclass(frozen=True)
class DistillStudent:
    """The student and the phases that train its towers.

    `start` is `scratch`, or `champion`: the registry's champion goes on, with its tokenizer; while there is
    none, the student is new. `champion` is the version's address, `models:/NAME/NUMBER`, filled in when the
    recipe is resolved.
    """

    student: StudentShape
    phases: tuple[Phase, ...]
    num_workers: int = 2
    use_gpu: bool = False
    seed: int = 0
    start: str = "scratch"
    champion: str = ""

    def __post_init__(self):
        if self.start not in STARTS:
            raise ValueError(f"a student starts from {' or '.join(STARTS)}, not from {self.start!r}")
        for number, phase in enumerate(self.phases):
            if phase.frozen_blocks and not self.student.inherit_image:
                raise ValueError(
                    f"phase {phase.name!r} keeps blocks as they were inherited, and this student inherits "
                    f"none; let them learn: distill_student.phases.{number}.frozen_blocks=0"
                )


def distill(
    config: DistillStudent, place: AnyPath, engines: dict, embedded: AnyPath, selection: AnyPath
) -> dict:
    """Train the tokenizer, then the student, and write it to `place/student`.

    Raises:
        StepError: the champion cannot be fetched, or is another student than the recipe's.
    """
    from training.embedded import Embedded
    from training.job import TrainingJob
    from training.run import train_student
    from training.selection import Selection

    shape, width = config.student, read_json(embedded / "embedded.json")["width"]
    texts = Embedded(embedded, Selection(selection), width).training_texts()
    champion = None
    if config.start == CHAMPION and config.champion:
        champion = _fetch_champion(config, place, engines["mlflow_uri"], width)
        tokenizer = _keep_tokenizer(texts, champion)
    else:
        if config.start == CHAMPION:
            say("distill_student", "there is no champion yet; the student starts from scratch")
        tokenizer = _make_tokenizer(texts, shape, place)
    job = TrainingJob(
        step="distill_student",
        embedded=embedded,
        selection=selection,
        place=place,
        width=width,
        phases=config.phases,
        shape=None if champion else shape,
        start=champion,
        tokenizer=None if champion else place / "tokenizer",
        seed=config.seed,
        mlflow_uri=engines["mlflow_uri"],
        mlflow_artifacts=engines["mlflow_artifacts"],
    )
    facts = train_student(job, engines["ray_address"], config.num_workers, config.use_gpu)
    return {**facts, "tokenizer": tokenizer, "start": config.champion if champion else SCRATCH}


def _fetch_champion(config: DistillStudent, place: AnyPath, mlflow_uri: str, width: int) -> AnyPath:
    """The champion's directory, in `place/champion`, when it is the student that the recipe describes.

    Raises:
        StepError: the registry does not give it, or its weights have other shapes.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    from training.registry import fetch_student
    from training.registry_client import open_registry, trouble
    from training.student import difference, load_student

    with saved(place / CHAMPION) as folder:
        try:
            open_registry(mlflow_uri)
            fetch_student(config.champion, folder)
        except (MlflowException, RequestException, OSError) as error:
            raise StepError(f"{trouble(mlflow_uri, error)}. Run again, or begin anew: {ANEW}") from error
        if found := difference(load_student(folder), config.student, width):
            raise StepError(f"{config.champion} is not the recipe's student: {found}. Begin anew: {ANEW}")
    say("distill_student", f"goes on from the champion, {config.champion}, with its tokenizer")
    return place / CHAMPION


def _keep_tokenizer(texts: Iterable[str], student: AnyPath) -> dict:
    """Facts of a student's own tokenizer on these texts: whether its vocabulary still fits them."""
    from training.tokenizer import load_tokenizer, sample_texts, tokens_per_text, unknown_share

    sample, num_texts = sample_texts(texts, 10_000)
    with copied(student) as folder:
        tokenizer = load_tokenizer(folder)
    counts = {"tokens": len(tokenizer), "texts": num_texts, "learned_from": 0}
    unknown = unknown_share(tokenizer, sample)
    return {**counts, "tokens_per_text": tokens_per_text(tokenizer, sample), "unknown_share": unknown}


def _make_tokenizer(texts: Iterable[str], shape: StudentShape, place: AnyPath) -> dict:
    """Write `place/tokenizer`; returns its facts: its size, the texts it learned from, tokens a text.

    A retry finds it: the facts are written after it.
    """
    from training.tokenizer import sample_texts, tokens_per_text, train_tokenizer

    if found := read_whole(place / TOKENIZER_FACTS) if (place / TOKENIZER_FACTS).exists() else None:
        say("distill_student", f"the tokenizer of {found['tokens']} tokens is there already")
        return found
    sample, num_texts = sample_texts(texts)
    tokenizer = train_tokenizer(sample, shape.vocab_size, shape.max_tokens)
    with saved(place / "tokenizer") as folder:
        tokenizer.save_pretrained(folder)
    lengths = tokens_per_text(tokenizer, sample_texts(sample, 10_000)[0])
    by_language = ", ".join(f"{count:.1f} {lang}" for lang, count in lengths.items())
    say(
        "distill_student",
        f"tokenizer of {len(tokenizer)} tokens for both languages; a text has {by_language}",
    )
    counts = {"tokens": len(tokenizer), "texts": num_texts, "learned_from": len(sample)}
    facts = {**counts, "tokens_per_text": lengths}
    write_json(place / TOKENIZER_FACTS, facts)
    return facts


@step_component()
def distill_student(
    config: dict,
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    distilled: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Stage 1 with Ray Train: feature distillation, each tower at its own pace."""
    from components.distill_student import DistillStudent, distill
    from components.step import run_step
    from training.job import CARRIED

    inputs = {"embedded": embedded, "selection": selection}
    given = {"in_place": tuple(inputs), "finished_by": (), "carried": CARRIED, "metrics": metrics}
    run_step("distill_student", distill, DistillStudent, config, inputs, distilled, **given)
