"""Teachers from a hub or a directory: AltCLIP, Chinese-CLIP, CLIP, SigLIP, SigLIP 2 and their like.

Pinned by revision, safetensors only, no code from the hub.
"""

import os
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from transformers import AutoModel, AutoProcessor, BatchFeature

from infra.store import write_json
from training.settings import PRECISIONS
from training.teacher import CARD


def save_hf_teacher(source: str, revision: str | None, folder: Path, precision: str = "float32") -> None:
    """Copy a model with its processor into `folder`.

    Args:
        source: a hub id or a directory.
        revision: a commit of the hub's repository; required for a hub id, so that a run can be repeated.
        precision: what it computes in on a GPU; see `HfTeacher`.

    Raises:
        ValueError: a hub id without a revision, or an unknown precision.
        OSError: the source has no weights in safetensors, or is not there.
    """
    if not revision and not os.path.isdir(source):
        raise ValueError(f"teacher {source!r} is a hub id and needs a pinned revision (a commit hash)")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    options = {"revision": revision, "trust_remote_code": False}
    AutoModel.from_pretrained(source, use_safetensors=True, **options).save_pretrained(folder)
    AutoProcessor.from_pretrained(source, **options).save_pretrained(folder)
    card = {"kind": "hf", "source": source, "revision": revision, "precision": precision}
    write_json(folder / CARD, card)


class HfTeacher:
    """A CLIP-like transformers model on the GPU when there is one.

    With `precision` bfloat16 a GPU multiplies in it (autocast); weights and vectors stay float32, and a CPU
    computes in float32 all the same, where bfloat16 is slower.
    """

    def __init__(self, folder: Path, precision: str = "float32"):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.half = precision == "bfloat16" and self.device == "cuda"
        model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
        self.model = model.eval().float().to(self.device)
        self.processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        self.text_options = text_options(self.model.config, self.processor.tokenizer)
        self.width = self.embed_texts(["a"]).shape[1]

    def prepare_images(self, images: list[Image]) -> BatchFeature:
        """See `Teacher`."""
        # Not the processor around it: SigLIP 2's has a number of patches of its own.
        return self.processor.image_processor(images, return_tensors="pt")

    @torch.inference_mode()
    def embed_prepared(self, prepared: BatchFeature) -> np.ndarray:
        """See `Teacher`."""
        with self._precision():
            return _unit(self.model.get_image_features(**prepared.to(self.device)).pooler_output)

    def embed_images(self, images: list[Image]) -> np.ndarray:
        """See `Teacher`."""
        return self.embed_prepared(self.prepare_images(images))

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """See `Teacher`."""
        if is_siglip(self.model.config):
            texts = [text.lower() for text in texts]
        inputs = self.processor.tokenizer(texts, **self.text_options, return_tensors="pt").to(self.device)
        with self._precision():
            return _unit(self.model.get_text_features(**inputs).pooler_output)

    def _precision(self):
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half)


def is_siglip(config) -> bool:
    """SigLIP and SigLIP 2 (of fixed size, and `siglip2`, of any): lower-case texts padded to full length."""
    return config.model_type.startswith("siglip")


def text_options(config, tokenizer) -> dict:
    """How texts become tokens for a model; never longer than it has positions for.

    SigLIP was trained on texts padded to the full length, without attention mask (arXiv 2303.15343,
    2502.14786), and SigLIP 2's tokenizer names no length of its own.
    """
    longest = config.text_config.max_position_embeddings
    if is_siglip(config):
        return {
            "padding": "max_length",
            "truncation": True,
            "max_length": longest,
            "return_attention_mask": False,
        }
    # AltCLIP's XLM-RoBERTa counts positions from the padding's number on.
    offset = config.text_config.pad_token_id + 1 if config.model_type == "altclip" else 0
    limit = min(tokenizer.model_max_length, longest - offset)
    return {"padding": True, "truncation": True, "max_length": limit}


def _unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
