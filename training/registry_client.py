"""The way to the registry: an address, how long to wait for it, and what its errors mean."""

import os

import mlflow
from mlflow import MlflowClient

from infra.addresses import without_secrets

# A request is given up after about a minute, where MLflow itself would try for a quarter of an hour.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
TAKEN = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS")
# No such model, version or alias; anything else is a registry in trouble, and no reason to promote.
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def open_registry(uri: str) -> MlflowClient:
    """Use the tracking server or database at `uri` from now on."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    mlflow.set_tracking_uri(uri)
    return MlflowClient()


def trouble(uri: str, error: Exception) -> str:
    """One line on what is wrong with the registry, without the password that an address may hold."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return without_secrets(f"the registry {uri} does not do what is asked: {reason}")
