"""Teachers from a hub or a directory: AltCLIP, Chinese-CLIP, CLIP, SigLIP and others of their interface.

Pinned by revision, safetensors only, no code from the hub.
"""

import os
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from transformers import AutoModel, AutoProcessor, BatchFeature

from infra.store import write_json
from training.teacher import CARD


def save_hf_teacher(source: str, revision: str | None, folder: Path) -> None:
    """Copy a model with its processor into `folder`.

    Args:
        source: a hub id or a directory.
        revision: a commit of the hub's repository; required for a hub id, so that a run can be repeated.

    Raises:
        ValueError: a hub id without a revision.
    """
    if not revision and not os.path.isdir(source):
        raise ValueError(f"teacher {source!r} is a hub id and needs a pinned revision (a commit hash)")
    options = {"revision": revision, "trust_remote_code": False}
    AutoModel.from_pretrained(source, use_safetensors=True, **options).save_pretrained(folder)
    AutoProcessor.from_pretrained(source, **options).save_pretrained(folder)
    write_json(folder / CARD, {"kind": "hf", "source": source, "revision": revision})


class HfTeacher:
    """A CLIP-like transformers model on the GPU when there is one."""

    def __init__(self, folder: Path):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = AutoModel.from_pretrained(folder, use_safetensors=True).eval().to(self.device)
        self.processor = AutoProcessor.from_pretrained(folder)
        self.width = self.embed_texts(["a"]).shape[1]

    def prepare_images(self, images: list[Image]) -> BatchFeature:
        """See `Teacher`."""
        return self.processor(images=images, return_tensors="pt")

    @torch.inference_mode()
    def embed_prepared(self, prepared: BatchFeature) -> np.ndarray:
        """See `Teacher`."""
        return _unit(self.model.get_image_features(**prepared.to(self.device)).pooler_output)

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """See `Teacher`."""
        return self.embed_prepared(self.prepare_images(images))

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """See `Teacher`."""
        # SigLIP was trained with padding to the full length; the others ignore padding.
        padding = "max_length" if "siglip" in self.model.config.model_type else True
        inputs = self.processor(text=texts, padding=padding, truncation=True, return_tensors="pt")
        return _unit(self.model.get_text_features(**inputs.to(self.device)).pooler_output)


def _unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
