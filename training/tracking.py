"""The loss curve in MLflow while training runs: one run a step's place, continued when the step resumes.

A tracking server in trouble costs points of the curve, never the training.
"""

import logging
import os
import time
from pathlib import Path

EXPERIMENT = "dcclip-training"
RUN_FILE = "mlflow_run.txt"
log = logging.getLogger(__name__)


class LiveCurve:
    """Logs points to MLflow in the background; with an empty `uri` it does nothing."""

    def __init__(self, uri: str, artifacts: str, name: str, place: Path):
        self.client, self.run_id = None, None
        if not uri:
            return
        # A server that does not answer is given up within seconds, not minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        try:
            self._open(uri, artifacts, name, place)
        except Exception as error:  # whatever a server or database does, training goes on
            log.warning("the curve is not in MLflow: %s", error)

    def _open(self, uri: str, artifacts: str, name: str, place: Path) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        number = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts or None)
        file = place / RUN_FILE
        if not file.exists():
            file.write_text(client.create_run(number, run_name=name, tags={"place": place.name}).info.run_id)
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
            log.warning("points of the curve are not in MLflow: %s", error)

    def close(self, status: str = "FINISHED") -> None:
        """End the run."""
        if self.client is None:
            return
        try:
            self.client.set_terminated(self.run_id, status)
        except Exception as error:  # see above
            log.warning("the run is left open in MLflow: %s", error)
