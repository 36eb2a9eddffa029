"""The model that MLflow serves, as code: a student's directory behind `predict`, plain transformers inside.

MLflow logs this file itself (models from code), so the one who loads `models:/dcclip@champion` needs
transformers, torch and pillow and nothing of this project. Input is a frame with the columns `image` (bytes,
or a path) and `labels` (a list of class names in Chinese or English); output has the columns `label`, the
best one, and `scores`, a probability a label in the order given.
"""

import io

import mlflow
import pandas as pd
from PIL import Image


class ZeroShotClassifier(mlflow.pyfunc.PythonModel):
    """Zero-shot image classification in Chinese and English."""

    def load_context(self, context) -> None:
        """Open the student's directory."""
        from transformers import pipeline

        folder = context.artifacts["student"]
        self.classify = pipeline("zero-shot-image-classification", model=folder)

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """One row of `label` and `scores` for each row of `image` and `labels`."""
        rows = [self._predict_one(row.image, list(row.labels)) for row in model_input.itertuples()]
        return pd.DataFrame(rows, columns=["label", "scores"])

    def _predict_one(self, image: bytes | str, labels: list[str]) -> dict:
        source = io.BytesIO(image) if isinstance(image, bytes) else image
        with Image.open(source) as picture:
            # The template is the label itself: a class name in any language stands alone.
            found = self.classify(picture.convert("RGB"), candidate_labels=labels, hypothesis_template="{}")
        scores = {item["label"]: item["score"] for item in found}
        return {"label": found[0]["label"], "scores": [scores[label] for label in labels]}


mlflow.models.set_model(ZeroShotClassifier())
