"""Tries the registered champion on one image, as an application would: through MLflow alone."""

from pathlib import Path

from components.step import StepError
from pipelines.resolve import engine_addresses


def classify_with_champion(root: Path, image: Path, labels: list[str]) -> list[tuple[str, float]]:
    """(label, probability), best first.

    Raises:
        StepError: there is no champion, or the file is no image.
    """
    import logging
    import os
    import warnings

    # The answer is the only thing worth reading here.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import mlflow
    import pandas as pd
    import transformers
    from mlflow.exceptions import MlflowException

    transformers.utils.logging.disable_progress_bar()
    if not (root / "mlflow.db").exists():
        raise StepError(f"there is no registry below {root}; `make run` makes one")
    mlflow.set_tracking_uri(engine_addresses(str(root), "", "", "")["mlflow_uri"])
    try:
        model = mlflow.pyfunc.load_model("models:/dcclip@champion")
        answer = model.predict(pd.DataFrame([{"image": str(image), "labels": labels}])).iloc[0]
    except MlflowException as error:
        raise StepError(f"the registry below {root} has no champion: {error.message}") from None
    # A version registered by an earlier release has no such column.
    if answer.get("error"):
        raise StepError(f"{image}: {answer['error']}")
    return sorted(zip(labels, answer["scores"], strict=True), key=lambda item: -item[1])
