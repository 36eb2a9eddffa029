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
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        folder = context.artifacts["student"]
        self.model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.image_processor = AutoImageProcessor.from_pretrained(folder)

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """One row of `label` and `scores` for each row of `image` and `labels`."""
        rows = [self._predict_one(row.image, list(row.labels)) for row in model_input.itertuples()]
        return pd.DataFrame(rows, columns=["label", "scores"])

    def _predict_one(self, image: bytes | str, labels: list[str]) -> dict:
        import torch

        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as picture:
            pixels = self.image_processor(on_white(picture), return_tensors="pt")
        tokens = self.tokenizer(labels, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits = self.model(**tokens, **pixels).logits_per_image[0]
        scores = logits.softmax(dim=0).tolist()
        return {"label": labels[scores.index(max(scores))], "scores": scores}


def on_white(picture: Image.Image) -> Image.Image:
    """RGB, with white where the picture is transparent, as the crawl stores its images."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    return canvas.convert("RGB")


mlflow.models.set_model(ZeroShotClassifier())
