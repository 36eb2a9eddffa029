"""The model that MLflow serves, as code: a student's directory behind `predict`, plain transformers inside.

MLflow logs this file itself (models from code), so the one who loads `models:/dcclip@champion` needs
transformers, torch and pillow and nothing of this project. Input is a frame with the columns

    image     a path, the bytes of an image file, a data URL (`data:image/png;base64,...`) or a PIL image
    labels    a list of class names, Chinese, English or both

and output a frame of as many rows with

    label     the best one, None where there is an error
    scores    a probability a label in the order given, empty where there is an error
    error     None, or why this row has no answer; the others have theirs

Left out on purpose: opening URLs. A server that fetches what strangers name can be led into the network it
stands in; whoever has a URL fetches it himself and gives the bytes.
"""

import base64
import io
import os
import re
from collections.abc import Iterator

import mlflow
import pandas as pd
from PIL import Image, ImageOps

IMAGES_AT_ONCE, LABELS_AT_ONCE = 32, 256
MAX_LABELS = 20_000
# A picture from a stranger is never decoded beyond this many pixels, as in the crawl,
MAX_PIXELS = 64_000_000
# nor as something that Pillow hands to another program (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")


class RowError(ValueError):
    """Why a row has no answer, for whoever sent it."""


class ZeroShotClassifier(mlflow.pyfunc.PythonModel):
    """Zero-shot image classification in Chinese and English."""

    def load_context(self, context) -> None:
        """Open the student's directory."""
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        folder = context.artifacts["student"]
        model, about = AutoModel.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
        # transformers would go on with random numbers in their place.
        if about["missing_keys"]:
            raise ValueError(
                f"{folder} lacks {len(about['missing_keys'])} weights of its model: fetch it again"
            )
        self.model = model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.image_processor = AutoImageProcessor.from_pretrained(folder)

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """One row of `label`, `scores` and `error` for each row of `image` and `labels`."""
        answers: list[dict] = [{}] * len(model_input)
        groups: dict[tuple, list] = {}
        for row, (image, labels) in enumerate(zip(model_input["image"], model_input["labels"], strict=True)):
            try:
                groups.setdefault(checked(labels), []).append((row, image))
            except RowError as error:
                answers[row] = refused(error)
        # Rows with the same labels share the texts' way through the model.
        for labels, rows in groups.items():
            for start in range(0, len(rows), IMAGES_AT_ONCE):
                for row, answer in self._answer(rows[start : start + IMAGES_AT_ONCE], labels):
                    answers[row] = answer
        return pd.DataFrame(answers, columns=["label", "scores", "error"])

    def _answer(self, rows: list[tuple], labels: tuple[str, ...]) -> Iterator[tuple[int, dict]]:
        """Answers of rows that share their labels, by the row's number."""
        readable, pictures = [], []
        for row, image in rows:
            try:
                pictures.append(opened(image))
                readable.append(row)
            except RowError as error:
                yield row, refused(error)
        if pictures:
            for row, scores in zip(readable, self._scores(pictures, labels), strict=True):
                yield row, {"label": labels[scores.index(max(scores))], "scores": scores, "error": None}

    def _scores(self, pictures: list[Image.Image], labels: tuple[str, ...]) -> list[list[float]]:
        """Probabilities (pictures, labels)."""
        import torch

        # Told, not guessed: a picture of one or three rows looks like channels.
        pixels = self.image_processor(pictures, return_tensors="pt", input_data_format="channels_last")
        logits = []
        for start in range(0, len(labels), LABELS_AT_ONCE):
            some = list(labels[start : start + LABELS_AT_ONCE])
            tokens = self.tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                logits.append(self.model(**tokens, **pixels).logits_per_image)
        return torch.cat(logits, dim=1).double().softmax(dim=1).tolist()


def refused(error: RowError) -> dict:
    """The answer of a row that has none."""
    return {"label": None, "scores": [], "error": str(error)}


def checked(labels) -> tuple[str, ...]:
    """A row's labels.

    Raises:
        RowError: they are no list of names, or too few, or too many.
    """
    if isinstance(labels, str) or not hasattr(labels, "__iter__"):
        raise RowError("labels must be a list of class names")
    names = tuple(labels)
    if not names:
        raise RowError("there are no labels to choose from")
    if len(names) > MAX_LABELS:
        raise RowError(f"{len(names)} labels are too many, at most {MAX_LABELS} can be asked at once")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise RowError("each label must be a text that is not empty")
    return names


def opened(image) -> Image.Image:
    """A row's picture, decoded, upright as its camera held it, RGB.

    Raises:
        RowError: it cannot be read, is too large, or is a URL.
    """
    source = source_of(image)
    try:
        picture = source if isinstance(source, Image.Image) else Image.open(source, formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise RowError(
                f"{picture.width} x {picture.height} pixels are too many, at most {MAX_PIXELS:,} are decoded"
            )
        return on_white(ImageOps.exif_transpose(picture))
    except RowError:
        raise
    # Decoders raise errors of almost every kind on broken input.
    except Exception as error:
        raise RowError(f"cannot read the picture: {error}") from None


def source_of(image) -> Image.Image | io.BytesIO | str | os.PathLike:
    """What Pillow can open.

    Raises:
        RowError: the value is of no such kind, or a URL.
    """
    if isinstance(image, (bytes, bytearray)):
        return io.BytesIO(image)
    if isinstance(image, str) and (found := DATA_URL.match(image)):
        try:
            return io.BytesIO(base64.b64decode(image[found.end() :], validate=True))
        except ValueError:
            raise RowError("the data URL is not base64") from None
    if isinstance(image, str) and URL.match(image):
        raise RowError("URLs are not opened here: fetch the picture and give its bytes")
    if isinstance(image, (Image.Image, str, os.PathLike)):
        return image
    raise RowError(f"image must be a path, bytes, a data URL or a PIL image, not {type(image).__name__}")


def on_white(picture: Image.Image) -> Image.Image:
    """RGB, with white where the picture is transparent, as the crawl stores its images."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    return canvas.convert("RGB")


mlflow.models.set_model(ZeroShotClassifier())
