"""The ablation table: what each technique changes, over seeds, on the finished steps of a local run.

    dcclip ablation --root out --recipe demo --seeds 3

Every variant is the recipe's student and phases with one thing changed, trained without Ray (a variant costs
no session) and examined on unseen concepts in both languages. Seeds are trained beside each other where there
are cores for it, each in a process of its own. A variant that is done is not trained again, so an interrupted
table goes on where it was.
"""

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from infra.code_version import code_version
from infra.store import fingerprint, identity, read_json, write_json
from training.ablation_tables import tables
from training.laboratory import LANGUAGES, Laboratory, Sources, phases_key
from training.variants import Variant

RESULTS = "results"
TABLE = "ablation.md"


@dataclass(frozen=True)
class Trial:
    """A variant to train with a seed, and the file that its result is kept in."""

    variant: Variant
    seed: int
    file: Path


def num_steps(trials: Iterable[Trial]) -> int:
    """Steps to take, those of shared phases counted once."""
    steps = {
        phases_key(trial.variant.shape, trial.variant.phases[: number + 1], trial.seed): phase.num_steps
        for trial in trials
        for number, phase in enumerate(trial.variant.phases)
    }
    return sum(steps.values())


def run_ablation(variants: list[Variant], sources: Sources, num_seeds: int, place: Path) -> str:
    """Train and examine all variants; returns the tables as Markdown, also in `place/ablation.md`."""
    (place / RESULTS).mkdir(parents=True, exist_ok=True)
    trials = {seed: _trials(variants, seed, sources, place) for seed in range(num_seeds)}
    waiting = {seed: [trial for trial in own if not trial.file.exists()] for seed, own in trials.items()}
    _examine({seed: own for seed, own in waiting.items() if own}, sources, place)
    found = {
        variant.name: [read_json(own[number].file) for own in trials.values()]
        for number, variant in enumerate(variants)
    }
    text = tables(variants, found)
    (place / TABLE).write_text(text)
    return text


def _trials(variants: list[Variant], seed: int, sources: Sources, place: Path) -> list[Trial]:
    """The variants with this seed; a changed line of code or other data give their results new names."""
    folders = [sources.embedded.name, sources.selection.name, fingerprint(sources.exam)]
    version = identity(code_version("training.laboratory"), folders)
    keys = [identity(version, phases_key(variant.shape, variant.phases, seed)) for variant in variants]
    return [
        Trial(variant, seed, place / RESULTS / f"{key}.json")
        for variant, key in zip(variants, keys, strict=True)
    ]


def _examine(waiting: dict[int, list[Trial]], sources: Sources, place: Path) -> None:
    """Train and examine what waits, by seed; results are kept as they come."""
    if not waiting:
        return
    num_cores = os.cpu_count() or 1
    # One more than cores: three seeds on two of them end together.
    num_processes = 1 if torch.cuda.is_available() else min(len(waiting), num_cores + 1)
    spawn = multiprocessing.get_context("spawn")
    begin = (spawn.RLock(), max(1, num_cores // num_processes))
    with ProcessPoolExecutor(num_processes, spawn, initializer=_begin, initargs=begin) as pool:
        jobs = [
            pool.submit(_examine_seed, trials, sources, place, line)
            for line, trials in enumerate(waiting.values())
        ]
        for job in jobs:
            job.result()


def _begin(lock, num_threads: int) -> None:
    """Processes take turns at the screen, and share the cores."""
    tqdm.set_lock(lock)
    torch.set_num_threads(num_threads)


def _examine_seed(trials: list[Trial], sources: Sources, place: Path, line: int) -> None:
    """Train and examine the variants of one seed, under a bar that counts steps."""
    name = f"seed {trials[0].seed}"
    with tqdm(total=num_steps(trials), unit="step", desc=name, position=line, mininterval=1.0) as bar:

        def tick(phase: str) -> None:
            bar.set_postfix(phase=phase, refresh=False)
            bar.update()

        shape, num_decoders = trials[0].variant.shape, torch.get_num_threads()
        laboratory = Laboratory(sources, shape, place, tick, num_decoders)
        for trial in trials:
            result = {"variant": trial.variant.name, "seed": trial.seed}
            result |= laboratory.examine(trial.variant, trial.seed)
            write_json(trial.file, result)
            bar.write(_line(result))


def _line(result: dict) -> str:
    top1 = ", ".join(f"{lang} {100 * result[lang]:.1f}" for lang in LANGUAGES)
    return f"{result['variant']}, seed {result['seed']}: {top1} ({result['seconds']:.0f} s of training)"
