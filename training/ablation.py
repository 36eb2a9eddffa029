"""The ablation table: what each technique changes, over seeds, on the finished steps of a local run.

    dcclip ablation --root out --recipe demo --seeds 3

Every variant is the recipe's student and phases with one thing changed, trained in this process (no Ray: one
worker is enough here, and a variant costs no session) and examined on unseen concepts in both languages.
Phases that variants have in common are trained once a seed. A variant that is done is not trained again,
so an interrupted table goes on where it was.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from infra.code_version import code_version
from infra.store import DONE, fingerprint, identity, read_json, write_json
from training import zero_shot
from training.batches import BatchSource
from training.job import TrainingJob
from training.loop import PhaseRun
from training.settings import Phase, StudentShape
from training.sources import DataSources
from training.student import Student, build_student
from training.tokenizer import load_tokenizer
from training.variants import BASELINE, Variant
from training.worker import on_device, open_student

RESULTS = "results.json"
TABLE = "ablation.md"
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
    """Trains and examines variants; keeps what several of them need."""

    def __init__(self, sources: Sources, shape: StudentShape, place: Path, bar: Callable[[str], None]):
        self.sources, self.place, self.bar = sources, place, bar
        self.width = read_json(sources.embedded / "embedded.json")["width"]
        self.tokenizer = load_tokenizer(sources.tokenizer)
        folders = sources.embedded, sources.selection
        num_decoders = os.cpu_count() or 1
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
        keys = [_key(variant.shape, variant.phases[:number], seed) for number in stages]
        seconds = sum(self.seconds[key] for key in keys)
        return {**{lang: scores[lang]["top1"] for lang in LANGUAGES}, "seconds": seconds}

    def forget(self) -> None:
        """Drop the weights of a finished seed."""
        self.states.clear()

    def _trained(self, shape: StudentShape, phases: tuple[Phase, ...], seed: int) -> dict:
        """The weights after these phases, trained once."""
        key = _key(shape, phases, seed)
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
            self.bar(phase.name)
        run.close()
        self.seconds[_key(shape, phases, seed)] = time.monotonic() - start
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


def _key(shape: StudentShape, phases: tuple[Phase, ...], seed: int) -> str:
    return identity(asdict(shape), [asdict(phase) for phase in phases], seed)


def _weights(student: Student) -> dict:
    return {name: tensor.detach().cpu().clone() for name, tensor in student.model.state_dict().items()}


def num_steps(waiting: list[tuple[Variant, int]]) -> int:
    """Steps to take for (variant, seed), those of shared phases counted once."""
    steps = {
        _key(variant.shape, variant.phases[: number + 1], seed): phase.num_steps
        for variant, seed in waiting
        for number, phase in enumerate(variant.phases)
    }
    return sum(steps.values())


def run_ablation(variants: list[Variant], sources: Sources, num_seeds: int, place: Path) -> str:
    """Train and examine all variants; returns the tables as Markdown, also in `place/ablation.md`."""
    place.mkdir(parents=True, exist_ok=True)
    folders = [sources.embedded.name, sources.selection.name, fingerprint(sources.exam)]
    version = identity(code_version("training.ablation"), folders)
    runs = [(variant, seed) for seed in range(num_seeds) for variant in variants]
    keys = {
        (variant.name, seed): identity(version, _key(variant.shape, variant.phases, seed))
        for variant, seed in runs
    }
    done = read_json(place / RESULTS) if (place / RESULTS).exists() else {}
    waiting = [(variant, seed) for variant, seed in runs if keys[variant.name, seed] not in done]
    for (variant, seed), result in _examined(waiting, sources, place):
        done[keys[variant.name, seed]] = result
        write_json(place / RESULTS, done)
    found = {
        variant.name: [done[keys[variant.name, seed]] for seed in range(num_seeds)] for variant in variants
    }
    text = tables(variants, found)
    (place / TABLE).write_text(text)
    return text


def _examined(
    waiting: list[tuple[Variant, int]], sources: Sources, place: Path
) -> Iterator[tuple[tuple[Variant, int], dict]]:
    """Results as they come, under a bar that counts steps."""
    if not waiting:
        return
    with tqdm(total=num_steps(waiting), unit="step", desc="ablation", mininterval=1.0) as bar:

        def tick(phase: str) -> None:
            bar.set_postfix(phase=phase, refresh=False)
            bar.update()

        laboratory = Laboratory(sources, waiting[0][0].shape, place, tick)
        for number, (variant, seed) in enumerate(waiting):
            if number and seed != waiting[number - 1][1]:
                laboratory.forget()
            result = {"variant": variant.name, "seed": seed, **laboratory.examine(variant, seed)}
            bar.write(_line(result))
            yield (variant, seed), result


def _line(result: dict) -> str:
    top1 = ", ".join(f"{lang} {100 * result[lang]:.1f}" for lang in LANGUAGES)
    return f"{result['variant']}, seed {result['seed']}: {top1} ({result['seconds']:.0f} s of training)"


def tables(variants: list[Variant], found: dict[str, list[dict]]) -> str:
    """Markdown: one table a question, means and standard deviations over seeds in percent."""
    parts = []
    for title in dict.fromkeys(variant.table for variant in variants):
        names = [variant.name for variant in variants if variant.table == title]
        if BASELINE in found and BASELINE not in names:
            names.insert(0, BASELINE)
        parts.append(f"## {title}\n\n" + "\n".join(_rows(names, found)))
    num_seeds = len(next(iter(found.values())))
    head = f"# Ablation\n\nZero-shot top-1 on unseen concepts, percent, mean ± sd over {num_seeds} seeds.\n"
    return head + "\n" + "\n\n".join(parts) + "\n"


def _rows(names: list[str], found: dict[str, list[dict]]) -> list[str]:
    rows = ["| variant | en | zh | en − baseline | zh − baseline | seconds |", "|---|---|---|---|---|---|"]
    for name in names:
        columns = [_spread([result[lang] for result in found[name]]) for lang in LANGUAGES]
        columns += [_difference(found[name], found.get(BASELINE), lang, name) for lang in LANGUAGES]
        seconds = np.mean([result["seconds"] for result in found[name]])
        rows.append(f"| {name} | {' | '.join(columns)} | {seconds:.0f} |")
    return rows


def _spread(shares: list[float], sign: str = "") -> str:
    """Mean and sample standard deviation of shares, in percent."""
    percent = 100 * np.array(shares)
    deviation = f" ± {percent.std(ddof=1):.1f}" if len(percent) > 1 else ""
    return f"{percent.mean():{sign}.1f}{deviation}"


def _difference(results: list[dict], baseline: list[dict] | None, lang: str, name: str) -> str:
    """Difference to the baseline, seed by seed."""
    if baseline is None or name == BASELINE:
        return ""
    gaps = [own[lang] - other[lang] for own, other in zip(results, baseline, strict=True)]
    return _spread(gaps, "+")
