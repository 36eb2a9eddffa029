"""The loss curve in MLflow while training runs: one run a step's place, continued when the step resumes.

A tracking server in trouble costs points of the curve, never the training.
"""

import os
import time

from infra.console import say
from infra.storage import AnyPath

EXPERIMENT = "dcclip-training"
RUN_FILE = "mlflow_run.txt"


class LiveCurve:
    """Logs points to MLflow in the background; with an empty `uri` it does nothing."""

    def __init__(self, uri: str, artifacts: str, step: str, place: AnyPath):
        self.step, self.client, self.run_id = step, None, None
        if not uri:
            return
        # A server that does not answer is given up within seconds, not minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        try:
            self._open(uri, artifacts, place)
        except Exception as error:  # whatever a server or database does, training goes on
            say(self.step, f"the curve is not in MLflow: {error}")

    def _open(self, uri: str, artifacts: str, place: AnyPath) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        number = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts or None)
        file = place / RUN_FILE
        if not file.exists() or not file.read_text():
            name = f"{self.step}-{place.name}"
            file.write_text(client.create_run(number, run_name=name).info.run_id)
        self.client, self.run_id = client, file.read_text()

    def add(self, step: int, facts: dict[str, float]) -> None:
        """Log one point; names may hold what MLflow allows: letters, digits, `_ - . / :` and spaces."""
        if self.client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in facts.items()]
        try:
            self.client.log_batch(self.run_id, metrics=metrics, synchronous=False)
        except Exception as error:  # see above
            say(self.step, f"points of the curve are not in MLflow: {error}")

    def close(self) -> None:
        """End the run."""
        if self.client is None:
            return
        try:
            self.client.set_terminated(self.run_id)
        except Exception as error:  # see above
            say(self.step, f"the run is left open in MLflow: {error}")
