"""Tries the registered champion on one image, as an application would: through MLflow alone."""

import sys
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
        asked = ask_as_learned(labels, model.unwrap_python_model().tokenizer)
        answer = model.predict(pd.DataFrame([{"image": str(image), "labels": asked}])).iloc[0]
    except MlflowException as error:
        raise StepError(f"the registry below {root} has no champion: {error.message}") from None
    # A version registered by an earlier release has no such column.
    if answer.get("error"):
        raise StepError(f"{image}: {answer['error']}")
    return sorted(zip(labels, answer["scores"], strict=True), key=lambda item: -item[1])


def ask_as_learned(labels: list[str], tokenizer) -> list[str]:
    """The labels as the model knows them best; says which are asked otherwise, and which it cannot know."""
    from training.simplified import as_learned
    from training.tokenizer import unknown_share

    asked = [as_learned(label, tokenizer) for label in labels]
    for label, text in zip(labels, asked, strict=True):
        if text != label:
            print(
                f"{label} is asked as {text}: this model has learned simplified characters", file=sys.stderr
            )
        if unknown_share(tokenizer, [text]) > 0:
            print(f"{label}: this model has not learned all of it", file=sys.stderr)
    return asked
