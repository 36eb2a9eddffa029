"""A training step from outside: a Ray session, the workers, the loss curve and what came of it.

Torch and transformers are imported by the workers alone: here they would cost seconds and do nothing.
"""

from dataclasses import replace

from infra.store import read_json
from training.job import SUMMARY, TrainingJob, announce, read_curve
from training.ray_edge import Session, await_devices, fit, num_devices, ray_session


def train_student(job: TrainingJob, ray_address: str, num_workers: int, use_gpu: bool) -> dict:
    """Train on `num_workers` workers and return facts for the record; the student is in `place/student`."""
    announce(job)
    with ray_session(ray_address):
        await_devices(job.step, num_workers, use_gpu)
        threads = max(1, num_devices(use_gpu=False) // num_workers)
        fit(
            _work,
            replace(job, num_threads=threads),
            num_workers=num_workers,
            use_gpu=use_gpu,
            place=job.place,
        )
    last = {point["phase"]: point["loss"] for point in read_curve(job.place)}
    return {**read_json(job.place / SUMMARY), "last_loss": last}


def _work(job: TrainingJob, session: Session) -> None:
    from training.worker import train

    train(job, session)
