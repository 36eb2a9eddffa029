"""What one training worker does: open the student and its share of the data, run the phases, save.

Called by Ray Train (training/ray_edge.py) on every worker; rank 0 also writes the loss curve, checkpoints
and the student. A checkpoint is model, optimizer and step; with the data order a function of the step, a
resumed run goes on as if nothing had happened.
"""

import itertools
import json
import tempfile
import time
from pathlib import Path

import torch
from tqdm import tqdm

from infra.console import track
from infra.store import write_json
from training import data
from training.inherit import inherit_image_tower, inherit_token_embeddings
from training.job import CURVE, STUDENT, SUMMARY, TrainingJob
from training.loop import BatchSource, PhaseRun
from training.ray_edge import Session
from training.settings import Phase
from training.student import Student, build_student, load_student
from training.tokenizer import load_tokenizer

CHECKPOINT = "checkpoint.pt"


def train(job: TrainingJob, session: Session) -> None:
    """Run every phase of the job on this worker."""
    torch.set_num_threads(job.num_threads)
    torch.manual_seed(job.seed)
    student = open_student(job)
    student.model.to(session.device)
    side = student.image_processor.size["height"]
    selection = data.read_selection(job.selection)
    pairs = data.read_pairs(job.embedded, selection, side, job.width, session.rank, session.world)
    texts = data.read_texts(job.embedded, pairs, job.width, session.rank, session.world)
    state = read_checkpoint(session.restored)
    names = [phase.name for phase in job.phases]
    first = names.index(state["phase"]) if state else 0
    for number, phase in itertools.islice(enumerate(job.phases), first, None):
        seed = job.seed * 1_009 + number * 101 + session.rank
        run = PhaseRun(phase, student.model, seed)
        if state and state["phase"] == phase.name:
            run.restore(state)
        batches = BatchSource(phase, pairs, texts, student.tokenizer, seed, session.world)
        run_phase(run, batches, job, session)
        run.close()
    if session.rank == 0:
        student.model.cpu()
        student.save(job.place / STUDENT)
        write_json(job.place / SUMMARY, {"parameters": student.num_parameters})


def open_student(job: TrainingJob) -> Student:
    """The student to train, in training mode."""
    if job.start:
        student = load_student(job.start)
    else:
        student = build_student(job.shape, load_tokenizer(job.tokenizer), job.width)
        inherit(student, job)
    student.model.train()
    student.model.to(memory_format=torch.channels_last)
    return student


def inherit(student: Student, job: TrainingJob) -> None:
    """Give a new student the weights that its shape asks for."""
    if job.shape.inherit_image:
        inherit_image_tower(student, job.shape.inherit_image)
    if job.shape.inherit_text:
        inherit_token_embeddings(student, data.known_vectors(job.embedded, job.width))


def run_phase(run: PhaseRun, batches: BatchSource, job: TrainingJob, session: Session) -> None:
    """Take the phase's remaining steps, with progress, curve and checkpoints from rank 0."""
    phase, first = run.phase, session.rank == 0
    steps = range(run.step, phase.num_steps)
    bar = track(job.step, None, total=phase.num_steps, initial=run.step, desc=phase.name, disable=not first)
    last_saved = time.monotonic()
    with bar, (job.place / CURVE).open("a") as curve:
        for step in steps:
            # Whatever the model draws at random is a function of the step too.
            torch.manual_seed(run.seed * 1_000_003 + step)
            facts = run.take_step(on_device(batches(step), session.device))
            if first:
                _note(bar, curve, phase, step, facts)
            # The clock of rank 0 decides for all: a checkpoint is taken by every worker at the same step.
            late = time.monotonic() - last_saved > job.checkpoint_seconds
            due = torch.tensor(float(late), device=session.device)
            if step % 20 == 19 and _from_first(due) and step + 1 < phase.num_steps:
                save_checkpoint(run, session)
                last_saved = time.monotonic()


def on_device(batch: dict, device: torch.device) -> dict:
    """The batch with its tensors, nested ones too, on a device."""
    return {
        name: on_device(item, device) if isinstance(item, dict) else item.to(device, non_blocking=True)
        for name, item in batch.items()
    }


def _from_first(flag: torch.Tensor) -> bool:
    if torch.distributed.is_initialized():
        torch.distributed.broadcast(flag, 0)
    return bool(flag)


def _note(bar: tqdm, curve, phase: Phase, step: int, facts: dict) -> None:
    """Move the bar, and write one of at most a hundred or so points of the phase's loss curve."""
    bar.set_postfix(loss=f"{facts['loss']:.3f}", refresh=False)
    bar.update()
    if step % max(1, phase.num_steps // 100) == 0 or step + 1 == phase.num_steps:
        curve.write(json.dumps({"phase": phase.name, "step": step, **facts}) + "\n")
        curve.flush()


def save_checkpoint(run: PhaseRun, session: Session) -> None:
    """Hand the state of the run to Ray Train; rank 0's is kept."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(run.state(), Path(folder) / CHECKPOINT)
        session.save(Path(folder))


def read_checkpoint(folder: Path | None) -> dict | None:
    """The state of an interrupted run, None for a fresh one."""
    return torch.load(folder / CHECKPOINT, weights_only=True) if folder else None
