"""A training step from outside: a Ray session, the workers, the loss curve and what came of it."""

from dataclasses import replace

from training.ray_edge import fit, num_devices, ray_session
from training.student import load_student
from training.worker import STUDENT, TrainingJob, announce, read_curve, train


def train_student(job: TrainingJob, ray_address: str, num_workers: int, use_gpu: bool) -> dict:
    """Train on `num_workers` workers and return facts for the record; the student is in `place/student`."""
    announce(job)
    with ray_session(ray_address):
        threads = max(1, num_devices(use_gpu=False) // num_workers)
        fit(
            train,
            replace(job, num_threads=threads),
            num_workers=num_workers,
            use_gpu=use_gpu,
            place=job.place,
        )
    curve = read_curve(job.place)
    student = load_student(job.place / STUDENT)
    last = {point["phase"]: point["loss"] for point in curve}
    return {"parameters": student.num_parameters, "last_loss": last}
