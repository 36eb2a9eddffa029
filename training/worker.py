"""What one training worker does: open the student and its part of the data, run the phases, save.

Called by Ray Train (training/ray_edge.py) on every worker; rank 0 also writes the loss curve, checkpoints
and the student. A checkpoint is model, optimizer and step; with the data order a function of the step, a
resumed run goes on as if nothing had happened.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

import torch

from infra.console import say
from infra.storage import appearing, copied, saved
from infra.store import write_json
from training.batches import BatchSource
from training.checkpoints import newest_whole, write_checkpoint
from training.embedded import Embedded
from training.inherit import inherit_image_tower, inherit_token_embeddings
from training.job import STUDENT, SUMMARY, TrainingJob
from training.loop import PhaseRun
from training.prefetch import Prefetched
from training.progress import progress
from training.ray_edge import Session
from training.selection import Selection
from training.sources import DataSources
from training.student import Student, build_student, load_student
from training.tokenizer import load_tokenizer
from training.tracking import LiveCurve


def train(job: TrainingJob, session: Session) -> None:
    """Run every phase of the job on this worker."""
    torch.set_num_threads(job.num_threads)
    torch.manual_seed(job.seed)
    student = open_student(job)
    student.model.to(session.device)
    live = open_curve(job) if session.rank == 0 else None
    sources = open_sources(job, student, session)
    state = restored_state(job, session)
    names = [phase.name for phase in job.phases]
    first = names.index(state["phase"]) if state else 0
    for number, phase in itertools.islice(enumerate(job.phases), first, None):
        seed = job.seed * 1_009 + number * 101
        run = PhaseRun(phase, student.model, seed + session.rank)
        if state and state["phase"] == phase.name:
            run.restore(state)
        batches = BatchSource(phase, sources, student.tokenizer, seed, session.rank, session.world)
        run_phase(run, batches, job, session, live)
        tell_unreadable(phase.name, batches.num_unreadable, job, session)
        run.close()
    if live:
        live.close()
        student.model.cpu()
        with saved(job.place / STUDENT) as folder:
            student.save(folder)
        write_json(job.place / SUMMARY, {"parameters": student.num_parameters})


def open_curve(job: TrainingJob) -> LiveCurve:
    """The job's curve in MLflow."""
    return LiveCurve(job.mlflow_uri, job.mlflow_artifacts, job.step, job.place)


def open_sources(job: TrainingJob, student: Student, session: Session) -> DataSources:
    """The data, with a worker's share of the cores to decode pictures."""
    side = student.image_processor.size["height"]
    num_decoders = max(1, (os.cpu_count() or 1) // session.world)
    return DataSources(job.embedded, job.selection, job.width, side, num_decoders=num_decoders)


def tell_unreadable(phase: str, number: int, job: TrainingJob, session: Session) -> None:
    """Say how many rows all workers together could not read, if any."""
    total = torch.tensor(number, device=session.device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(total)
    if total and session.rank == 0:
        say(job.step, f"{phase}: {int(total)} rows could not be read, others stood in for them")


def restored_state(job: TrainingJob, session: Session) -> dict | None:
    """The state of an interrupted run, from its newest whole checkpoint; None for a fresh run."""
    state, broken = newest_whole(session.restored)
    if broken and session.rank == 0:
        say(job.step, f"not whole and left aside: {', '.join(broken)}")
    return state


def open_student(job: TrainingJob) -> Student:
    """The student to train, in training mode."""
    if job.start:
        with copied(job.start) as folder:
            student = load_student(folder)
    else:
        with copied(job.tokenizer) as folder:
            student = build_student(job.shape, load_tokenizer(folder), job.width)
        inherit(student, job)
    student.model.train()
    student.model.to(memory_format=torch.channels_last)
    return student


def inherit(student: Student, job: TrainingJob) -> None:
    """Give a new student the weights that its shape asks for."""
    if job.shape.inherit_image:
        inherit_image_tower(student, job.shape.inherit_image)
    if job.shape.inherit_text:
        embedded = Embedded(job.embedded, Selection(job.selection), job.width)
        inherit_token_embeddings(student, embedded.known_vectors())


def run_phase(
    run: PhaseRun, batches: BatchSource, job: TrainingJob, session: Session, live: LiveCurve | None
) -> None:
    """Take the phase's remaining steps, with progress, curve and checkpoints from rank 0."""
    ahead = Prefetched(batches, range(run.step, run.phase.num_steps))
    last_saved = time.monotonic()
    with progress(job, run.phase, run.step, live) as told:
        for step, batch in ahead:
            # Whatever the model draws at random is a function of the step too.
            torch.manual_seed(run.seed * 1_000_003 + step)
            told.add(step, take_step(run, batch, job, session), ahead.waited_seconds)
            due = run.step % job.checkpoint_steps == 0 and run.step < run.phase.num_steps
            late = time.monotonic() - last_saved > job.checkpoint_seconds
            if due and _agreed(late, session.device):
                save_checkpoint(run, session)
                last_saved = time.monotonic()


def take_step(run: PhaseRun, batch: dict, job: TrainingJob, session: Session) -> dict[str, float]:
    """One update; a batch that makes it fail for its numbers is kept for a look.

    Raises:
        FloatingPointError: loss or gradients are not finite; the message names the kept batch.
    """
    try:
        return run.take_step(on_device(batch, session.device))
    except FloatingPointError as error:
        file = job.place / f"bad_batch_rank{session.rank}.pt"
        with appearing(file) as stream:
            torch.save(batch, stream)
        raise FloatingPointError(f"{error}; the batch is in {file}") from error


def on_device(batch: dict, device: torch.device) -> dict:
    """The batch with its tensors, nested ones too, on a device."""
    return {
        name: on_device(item, device) if isinstance(item, dict) else item.to(device, non_blocking=True)
        for name, item in batch.items()
    }


def _agreed(late: bool, device: torch.device) -> bool:
    """Rank 0's clock decides for all: every worker takes a checkpoint at the same step, or none."""
    flag = torch.tensor(float(late), device=device)
    if torch.distributed.is_initialized():
        torch.distributed.broadcast(flag, 0)
    return bool(flag)


def save_checkpoint(run: PhaseRun, session: Session) -> None:
    """Hand the state of the run to Ray Train; rank 0's is kept."""
    with tempfile.TemporaryDirectory() as folder:
        if session.rank == 0:
            write_checkpoint(run.state(), Path(folder))
        session.save(Path(folder))
