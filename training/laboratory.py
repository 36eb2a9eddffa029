"""Where variants are trained and examined: a recipe's phases one after another, in one process, without Ray.

Phases that variants have in common are trained once a seed.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from infra.store import DONE, identity, read_json
from training import zero_shot
from training.batches import BatchSource
from training.job import TrainingJob
from training.loop import PhaseRun
from training.settings import Phase, StudentShape
from training.sources import DataSources
from training.student import Student, build_student
from training.tokenizer import load_tokenizer
from training.variants import Variant
from training.worker import on_device, open_student

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Sources:
    """Finished steps that the ablation reads."""

    embedded: Path
    selection: Path
    tokenizer: Path
    exam: Path
    teacher: Path | None


def find_sources(store: Path, exam: Path) -> Sources:
    """The newest finished steps below a storage root.

    Raises:
        FileNotFoundError: a step has not been run there.
    """
    return Sources(
        embedded=newest(store, "embed_pairs"),
        selection=newest(store, "select_pairs"),
        tokenizer=newest(store, "distill_student") / "tokenizer",
        exam=exam,
        teacher=newest(store, "prepare_teacher"),
    )


def newest(store: Path, step: str) -> Path:
    """The place of a step that was finished last."""
    done = sorted((store / step).glob(f"*/{DONE}"), key=lambda file: file.stat().st_mtime)
    if not done:
        raise FileNotFoundError(f"{store / step} holds no finished step; run the pipeline there first")
    return done[-1].parent


class Laboratory:
    """Trains and examines variants; keeps what several of them need.

    `tell` is given the phase's name after each of its steps; pictures are decoded by `num_decoders` threads.
    """

    def __init__(
        self,
        sources: Sources,
        shape: StudentShape,
        place: Path,
        tell: Callable[[str], None],
        num_decoders: int = 1,
    ):
        self.sources, self.place, self.tell = sources, place, tell
        self.width = read_json(sources.embedded / "embedded.json")["width"]
        self.tokenizer = load_tokenizer(sources.tokenizer)
        folders = sources.embedded, sources.selection
        self.data = DataSources(*folders, self.width, shape.image_size, num_decoders=num_decoders)
        self.exam = zero_shot.read_exam(sources.exam)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.states: dict[str, dict] = {}
        self.seconds: dict[str, float] = {}

    def examine(self, variant: Variant, seed: int) -> dict[str, float]:
        """Top-1 per language, and the seconds that its phases took."""
        student = self._student(variant.shape, seed)
        student.model.load_state_dict(self._trained(variant.shape, variant.phases, seed))
        encoder = zero_shot.StudentEncoder(student)
        scores = zero_shot.accuracies(zero_shot.similarities(encoder, self.exam), self.exam.labels)
        stages = range(1, len(variant.phases) + 1)
        keys = [phases_key(variant.shape, variant.phases[:number], seed) for number in stages]
        seconds = sum(self.seconds[key] for key in keys)
        return {**{lang: scores[lang]["top1"] for lang in LANGUAGES}, "seconds": seconds}

    def _trained(self, shape: StudentShape, phases: tuple[Phase, ...], seed: int) -> dict:
        """The weights after these phases, trained once."""
        key = phases_key(shape, phases, seed)
        if key not in self.states:
            self.states[key] = self._train_last(shape, phases, seed) if phases else self._start(shape, seed)
        return self.states[key]

    def _train_last(self, shape: StudentShape, phases: tuple[Phase, ...], seed: int) -> dict:
        before = self._trained(shape, phases[:-1], seed)
        student, phase = self._student(shape, seed), phases[-1]
        student.model.load_state_dict(before)
        student.model.to(self.device)
        own_seed = seed * 1_009 + (len(phases) - 1) * 101
        start = time.monotonic()
        run = PhaseRun(phase, student.model, own_seed)
        batches = BatchSource(phase, self.data, self.tokenizer, own_seed)
        for step in range(phase.num_steps):
            torch.manual_seed(own_seed * 1_000_003 + step)
            run.take_step(on_device(batches(step), self.device))
            self.tell(phase.name)
        run.close()
        self.seconds[phases_key(shape, phases, seed)] = time.monotonic() - start
        return _weights(student)

    def _student(self, shape: StudentShape, seed: int) -> Student:
        torch.manual_seed(seed)
        student = build_student(shape, self.tokenizer, self.width)
        student.model.train().to(memory_format=torch.channels_last)
        return student

    def _start(self, shape: StudentShape, seed: int) -> dict:
        """What the pipeline starts from: inherited weights where the shape asks for them."""
        sources = self.sources
        job = TrainingJob("ablation", sources.embedded, sources.selection, self.place, self.width, ())
        torch.manual_seed(seed)
        return _weights(open_student(replace(job, shape=shape, tokenizer=sources.tokenizer, seed=seed)))


def phases_key(shape: StudentShape, phases: tuple[Phase, ...], seed: int) -> str:
    """Names what a student of this shape has learned in these phases."""
    return identity(asdict(shape), [asdict(phase) for phase in phases], seed)


def _weights(student: Student) -> dict:
    return {name: tensor.detach().cpu().clone() for name, tensor in student.model.state_dict().items()}
