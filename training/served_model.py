"""The model that MLflow serves, as code: a student's directory behind `predict`, plain transformers inside.

MLflow logs this file itself (models from code), so the one who loads `models:/dcclip@champion` needs
transformers, torch and pillow and nothing of this project. Input is a frame with the columns

    image     a path, the bytes of an image file, a data URL (`data:image/png;base64,...`) or a PIL image
    labels    a list of different class names, Chinese, English or both

and output a frame of as many rows with

    label     the best one, None where there is an error
    scores    a probability a label in the order given, empty where there is an error
    error     None, or why this row has no answer; the others have theirs

A path is opened where the model runs in one's own process, not where a server of MLflow holds it: there
others would read the server's files. `mlflow.pyfunc.load_model(..., model_config={"paths": True})` decides.

Left out on purpose: opening URLs. A server that fetches what strangers name can be led into the network it
stands in; whoever has a URL fetches it himself and gives the bytes.
"""

import base64
import io
import os
import re
import stat
from collections.abc import Iterator

import mlflow
import pandas as pd
from PIL import Image

from infra.decode import FORMATS, MAX_PIXELS, decode, to_rgb

IMAGES_AT_ONCE, LABELS_AT_ONCE = 32, 256
MAX_LABELS = 20_000
MAX_FILE_BYTES = 64_000_000
# Larger pictures are averaged down to this shorter side or more while they are decoded.
KEEP_SIDE = 1_024
# What MLflow's servers set in the process that answers.
SERVERS = ("__pyfunc_model_path__", "MLSERVER_MODEL_URI", "SERVING_MODEL_CONFIG")
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
        options = {"trust_remote_code": False, "local_files_only": True}
        model, about = AutoModel.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options
        )
        # transformers would go on with random numbers in their place.
        if about["missing_keys"]:
            raise ValueError(
                f"{folder} lacks {len(about['missing_keys'])} weights of its model: fetch it again"
            )
        self.model = model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        self.image_processor = AutoImageProcessor.from_pretrained(folder, **options)
        self.paths = opens_paths(getattr(context, "model_config", None))

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """One row of `label`, `scores` and `error` for each row of `image` and `labels`."""
        answers: list[dict] = [{}] * len(model_input)
        groups: dict[tuple, list] = {}
        for row, (image, labels) in enumerate(zip(model_input["image"], model_input["labels"], strict=True)):
            try:
                groups.setdefault(different(checked(labels)), []).append((row, image))
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
        readable, pixels = [], []
        for row, image in rows:
            try:
                pixels.append(self._pixels(image))
                readable.append(row)
            except RowError as error:
                yield row, refused(error)
        if pixels:
            for row, scores in zip(readable, self._scores(pixels, labels), strict=True):
                yield row, {"label": labels[scores.index(max(scores))], "scores": scores, "error": None}

    def _pixels(self, image):
        """One picture as the model takes it (1, 3, side, side): no two whole ones are in memory."""
        picture = opened(image, self.paths)
        # Told, not guessed: a picture of one or three rows looks like channels.
        found = self.image_processor([picture], return_tensors="pt", input_data_format="channels_last")
        return found["pixel_values"]

    def _scores(self, pixels: list, labels: tuple[str, ...]) -> list[list[float]]:
        """Probabilities (pictures, labels)."""
        import torch

        logits, pixel_values = [], torch.cat(pixels)
        for start in range(0, len(labels), LABELS_AT_ONCE):
            some = list(labels[start : start + LABELS_AT_ONCE])
            tokens = self.tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                logits.append(self.model(**tokens, pixel_values=pixel_values).logits_per_image)
        return torch.cat(logits, dim=1).double().softmax(dim=1).tolist()


def opens_paths(config: dict | None) -> bool:
    """What the model's configuration says of `paths`; where it says nothing, whether no server runs it."""
    wanted = (config or {}).get("paths")
    return not any(name in os.environ for name in SERVERS) if wanted is None else bool(wanted)


def refused(error: RowError) -> dict:
    """The answer of a row that has none."""
    return {"label": None, "scores": [], "error": str(error)}


def checked(labels) -> tuple[str, ...]:
    """A row's labels.

    Raises:
        RowError: they are no list of names, or too few, or too many.
    """
    if isinstance(labels, (str, bytes, dict)) or not hasattr(labels, "__iter__"):
        raise RowError("labels must be a list of class names")
    names = tuple(labels)
    if not names:
        raise RowError("there are no labels to choose from")
    if len(names) > MAX_LABELS:
        raise RowError(f"{len(names)} labels are too many, at most {MAX_LABELS} can be asked at once")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise RowError("each label must be a text that is not empty")
    return names


def different(names: tuple[str, ...]) -> tuple[str, ...]:
    """The labels; of two that are the same each would get half of the probability.

    Raises:
        RowError: one is there twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RowError(f"the label {name[:100]!r} is there twice")
        seen.add(name)
    return names


def opened(image, paths: bool = False) -> Image.Image:
    """A row's picture, decoded, upright as its camera held it, RGB.

    Args:
        paths: whether a path is opened.

    Raises:
        RowError: it cannot be read, is too large, or is a URL.
    """
    source = source_of(image)
    if isinstance(source, (str, os.PathLike)):
        return _opened_path(source, paths)
    try:
        if isinstance(source, Image.Image):
            return to_rgb(source, KEEP_SIDE)
        return decode(source.getvalue(), KEEP_SIDE)
    except Image.DecompressionBombError as error:
        limit = f", at most {MAX_PIXELS:,} are decoded" if "too many" in str(error) else ""
        raise RowError(f"{error}{limit}") from None
    # Of a PIL image that is decoded only now; decoders raise errors of almost every kind on broken input.
    except Exception as error:
        raise RowError(f"cannot read the picture: {error}") from None


def _opened_path(path: str | os.PathLike, paths: bool) -> Image.Image:
    """A picture by its path. Why there is none is not told, so that nobody can ask which files there are.

    Raises:
        RowError: paths are not opened, or none that can be read is there.
    """
    if not paths:
        raise RowError("paths are not opened here: give the picture's bytes or a data URL")
    try:
        return decode(read_file(path), KEEP_SIDE)
    except (OSError, ValueError, Image.DecompressionBombError):
        raise RowError(
            f"No such file, or no picture that can be read: one of {', '.join(FORMATS)} of at most "
            f"{MAX_PIXELS:,} pixels and {MAX_FILE_BYTES:,} bytes"
        ) from None


def read_file(path: str | os.PathLike) -> bytes:
    """A file's bytes; a pipe or a device is not waited for.

    Raises:
        OSError, ValueError: it cannot be read, is no regular file, or is too large.
    """
    # On a pipe that nobody writes to, opening alone would wait for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_FILE_BYTES:
            raise ValueError("no regular file of bearable size")
        return stream.read(MAX_FILE_BYTES)


def source_of(image) -> Image.Image | io.BytesIO | str | os.PathLike:
    """What a row gives, its kind settled.

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


mlflow.models.set_model(ZeroShotClassifier())
