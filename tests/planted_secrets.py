"""Secrets that tests plant in the environment, to look for them wherever something was written."""

from collections.abc import Iterable
from pathlib import Path

# Without MLFLOW_TRACKING_USERNAME: MLflow notes by it who made a run, as it is meant to.
PLANTED = {
    "AWS_ACCESS_KEY_ID": "planted-access-key-4c1d",
    "AWS_SECRET_ACCESS_KEY": "planted-secret-key-93ab",
    "AWS_SESSION_TOKEN": "planted-session-token-07fe",
    "MLFLOW_TRACKING_PASSWORD": "planted-password-e6a1",
    "HF_TOKEN": "planted-hub-token-b83d",
}


def secrets_in(texts: Iterable[bytes]) -> set[str]:
    """The names of the planted secrets that stand in any of the texts."""
    return {name for text in texts for name, value in PLANTED.items() if value.encode() in text}


def secrets_below(folder: Path) -> dict[str, set[str]]:
    """Names of planted secrets by file, of all files below a folder that hold one."""
    found = {str(path): secrets_in([path.read_bytes()]) for path in folder.rglob("*") if path.is_file()}
    return {path: names for path, names in found.items() if names}
