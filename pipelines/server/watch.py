"""A run, followed: one line whenever a step's state changes, until the run ends.

The server's own task list says how each step stands (`server/run.py`). What it leaves out, attempts and pods
that wait, is in the run's workflow, which is asked for once a minute (`server/workflow.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from components.step import StepError
from pipelines.server.connection import Client, ServerError
from pipelines.server.reasons import last_line, reason_of
from pipelines.server.run import DONE, FINAL, Run, read_run
from pipelines.server.workflow import Attempt, read_attempts

# A server may be restarted while a run takes days: 10 minutes, with a question each 5 seconds.
MAX_FAILURES = 120
# How often attempts and pods are looked at, and from when on a pod that waits is worth a word.
LOOK_SECONDS = 60.0
# What decides on a step's pod, before it; a failure there is the step's too.
DRIVER = "-driver"
# That an attempt has failed is told once.
FAILED = "failed"


@dataclass
class Progress:
    """What has been told of a run of a pipeline; `tasks`: the name for people by the name in the DAG."""

    pipeline: str
    tasks: dict[str, str]
    tell: Callable[[str], None]
    states: dict[str, str] = field(default_factory=dict)
    run_state: str = ""
    told: set[tuple] = field(default_factory=set)

    def update(self, run: Run) -> None:
        """Tell what has changed."""
        if run.state and run.state != self.run_state and run.state not in FINAL:
            self.tell(f"run {run.state.lower()}")
        self.run_state = run.state or self.run_state
        for name, state in run.states(self.tasks).items():
            if state != self.states.get(name):
                self.states[name] = state
                num_done = sum(item in DONE for item in self.states.values())
                self.tell(f"{num_done:>2}/{len(self.tasks)} {self.tasks[name]:<22} {state.lower()}")

    def look(self, client: Client, run: Run, attempts: list[Attempt]) -> None:
        """Tell of attempts that failed, of pods that wait, and how far the steps that run are."""
        for attempt in attempts:
            if attempt.task not in self.tasks or (attempt.task, attempt.number, FAILED) in self.told:
                continue
            if attempt.failed:
                reason = reason_of(client, run, attempt.task, attempt) or "its log gives no reason"
                self._once(attempt, f"attempt {attempt.number + 1} failed: {attempt.words}{reason}", FAILED)
            elif attempt.phase == "Pending" and attempt.message and attempt.waits(LOOK_SECONDS):
                self._once(attempt, f"waits for its pod: {attempt.message}", attempt.message)
            elif attempt.phase == "Running" and (line := last_line(client, run, attempt)):
                self._once(attempt, line, line)

    def _once(self, attempt: Attempt, text: str, key: str) -> None:
        """Tell something of an attempt that has not been told yet."""
        if (attempt.task, attempt.number, key) not in self.told:
            self.told.add((attempt.task, attempt.number, key))
            self.tell(f"      {self.tasks[attempt.task]:<22} {text}")


def follow(client: Client, run_id: str, progress: Progress, seconds: float) -> Run:
    """Ask every so many seconds until the run has ended, and return it.

    Raises:
        StepError: the server could not be asked for long, or does not let us; the run itself goes on.
    """
    num_failures, looked = 0, time.monotonic()
    while True:
        try:
            run = read_run(client, progress.pipeline, run_id)
            progress.update(run)
            ended = run.state in FINAL
            if ended or time.monotonic() - looked >= LOOK_SECONDS:
                progress.look(client, run, read_attempts(client, run_id))
                looked = time.monotonic()
            num_failures = 0
            if ended:
                return run
        except ServerError as error:
            num_failures += 1
            if not error.passing or num_failures == MAX_FAILURES:
                raise StepError(
                    f"{error}. The run itself goes on; look with `kfp run get {run_id}`"
                ) from None
        time.sleep(seconds)


def failure(client: Client, run: Run, tasks: dict[str, str]) -> str:
    """Why a run ended as it did: the step that failed, what it said last, or what the server says of it."""
    failed = {
        item.name.removesuffix(DRIVER): item.message
        for item in run.tasks
        if item.state == "FAILED" and item.name.removesuffix(DRIVER) in tasks
    }
    attempts = {attempt.task: attempt for attempt in read_attempts(client, run.run_id) if attempt.failed}
    reasons = [reason_of(client, run, name, attempts.get(name)) or told for name, told in failed.items()]
    reasons = [reason for reason in [*reasons, run.message] if reason]
    where = f" at {', '.join(tasks[name] for name in failed)}" if failed else ""
    return f"the run {(run.state or 'ended').lower()}{where}{': ' if reasons else ''}{'; '.join(reasons)}"
