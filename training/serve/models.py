"""A model to try, by its address: `models:/NAME@ALIAS` in the registry, or a folder (Hugging Face, ONNX)."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image

from infra.addresses import without_secrets
from infra.store import fingerprint, identity
from training.export import IMAGE, SETTINGS, TEXT
from training.job import STUDENT
from training.onnx_pair import SMALL, BrokenPair, OnnxEncoder, first_line, load_companions
from training.simplified import as_learned
from training.student import contrast_scale, load_student
from training.zero_shot import StudentEncoder

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<number>\d+))")
WEIGHTS = "model.safetensors"


class NoModel(ValueError):
    """There is no model to open there; the message says why, and what can be given."""


@dataclass(frozen=True)
class Model:
    """A model at work.

    `content` names its weights, so that vectors can be kept. `prepare` makes one picture the tower's input
    (1, 3, side, side), `embed_prepared` and `embed_texts` give unit vectors (n, width) of many.
    """

    name: str
    content: str
    scale: float
    width: int
    prepare: Callable[[Image], np.ndarray]
    embed_prepared: Callable[[np.ndarray], np.ndarray]
    embed_texts: Callable[[list[str]], np.ndarray]


def open_model(address: str, mlflow_uri: str = "", int8: bool = False) -> Model:
    """The model at an address.

    Args:
        mlflow_uri: the registry, for an address in it.
        int8: the small files of an ONNX folder.

    Raises:
        NoModel: no such model, or it is cut off, or foreign.
        MlflowException, NoSuchVersion: what the registry says.
    """
    if REGISTERED.fullmatch(address):
        return open_registered(address, mlflow_uri)
    folder = Path(address)
    if not folder.is_dir():
        raise NoModel(
            f"{address} is neither a folder nor models:/NAME@ALIAS or models:/NAME/NUMBER; a folder is one "
            "of export_student's, or a student's with model.safetensors"
        )
    try:
        return open_pair(folder, int8) if (folder / SETTINGS).exists() else open_student(folder, address)
    except BrokenPair as error:
        raise NoModel(str(error)) from None


def open_pair(folder: Path, int8: bool) -> Model:
    """The ONNX pair of a folder that export_student has written."""
    companions = load_companions(folder)
    encoder = OnnxEncoder(folder, companions, int8)
    files = [folder / name for name in (SETTINGS, *(SMALL if int8 else (IMAGE, TEXT)))]
    return Model(
        name=f"{folder} ({'int8' if int8 else 'float32'} ONNX)",
        content=identity(*map(fingerprint, [*files, folder / STUDENT / "tokenizer.json"])),
        scale=companions.scale,
        width=encoder.embed_texts(["a"]).shape[1],
        prepare=lambda image: encoder.prepare_images([image]),
        embed_prepared=encoder.embed_prepared,
        embed_texts=_as_learned(encoder.embed_texts, companions.tokenizer),
    )


def open_student(folder: Path, name: str) -> Model:
    """A student of its Hugging Face directory, in torch."""
    if not (folder / WEIGHTS).is_file():
        raise NoModel(
            f"{folder} has neither {SETTINGS} (an ONNX export) nor {WEIGHTS} (a student's directory)"
        )
    try:
        student = load_student(folder)
    # safetensors and transformers raise errors of many kinds for what is cut off or foreign.
    except Exception as error:
        raise NoModel(f"{folder} is no whole student of dcclip: {first_line(error)}") from None
    encoder = StudentEncoder(student)
    return Model(
        name=name,
        content=fingerprint(folder),
        scale=float(contrast_scale(student.model).detach()),
        width=encoder.width,
        prepare=lambda image: encoder.prepare_images([image]).numpy(),
        embed_prepared=_from_numpy(encoder.embed_prepared),
        embed_texts=_as_learned(encoder.embed_texts, student.tokenizer),
    )


def _as_learned(embed: Callable[[list[str]], np.ndarray], tokenizer) -> Callable[[list[str]], np.ndarray]:
    """`embed_texts` of texts in the characters that the model has learned."""
    return lambda texts: embed([as_learned(text, tokenizer) for text in texts])


def _from_numpy(embed: Callable) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    return lambda prepared: embed(torch.from_numpy(prepared))


def open_registered(address: str, mlflow_uri: str) -> Model:
    """A version of the registry, its files fetched.

    Raises:
        NoModel: nobody has that alias.
    """
    import mlflow

    from training.champion import by_alias, by_number
    from training.registry_client import open_registry

    name, alias, number = REGISTERED.fullmatch(address).group("name", "alias", "number")
    client = open_registry(mlflow_uri)
    version = by_alias(client, name, alias) if alias else by_number(client, name, int(number))
    if version is None:
        raise NoModel(f"{name} has no {alias} in the registry {without_secrets(mlflow_uri)}")
    with tempfile.TemporaryDirectory() as place:
        fetched = mlflow.artifacts.download_artifacts(f"models:/{name}/{version.version}", dst_path=place)
        weights = next(Path(fetched).rglob(WEIGHTS), None)
        if weights is None:
            raise NoModel(
                f"version {version.version} of {name} has no {WEIGHTS}: dcclip has not registered it"
            )
        return open_student(weights.parent, f"{address} (version {version.version})")
