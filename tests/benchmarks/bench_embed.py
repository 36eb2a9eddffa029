"""embed_pairs against the teacher's bare forward pass, on the same batches and the same core.

    python -m tests.benchmarks.bench_embed [--pairs 256] [--side 256] [--layers 12]

The teacher is a CLIP of ViT-B/32's size (fewer `--layers` make it smaller) with random weights, opened by the
code that opens AltCLIP; the pairs are JPEGs of `--side` pixels with a caption in both languages. Bare is the
model alone on tensors that are ready: no reading, decoding, tokenizing or writing. Both run on one core with
one thread, as each of embed_pairs' workers does, and take turns; the figure is bare over embed, of the CPU
seconds each took.
"""

import argparse
import io
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

from infra.store import write_json
from training import shards
from training.embed import BATCH, Embedder, shard_items
from training.teacher import CARD
from training.tokenizer import train_tokenizer

COLOURS = ("red", "green", "blue", "红色", "绿色", "蓝色")


def write_teacher(folder: Path, num_layers: int) -> None:
    """A CLIP of ViT-B/32's widths with random weights, as prepare_teacher leaves one."""
    towers = {name: {"num_hidden_layers": num_layers} for name in ("text_config", "vision_config")}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(**towers)).eval().save_pretrained(folder)
    words = [f"a {colour} picture of {number}" for number in range(100) for colour in COLOURS]
    tokenizer = train_tokenizer(words, 1_000, 77)
    tokenizer.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessorPil(), AutoTokenizer.from_pretrained(folder)).save_pretrained(folder)
    write_json(folder / CARD, {"kind": "hf", "source": "random", "revision": None, "precision": "float32"})


def captions(number: int) -> dict[str, str]:
    return {"zh": f"第{number}张红色的图片", "en": f"red picture {number}"}


def write_pairs(folder: Path, num_pairs: int, side: int) -> None:
    """A raw shard, and kept.parquet beside it."""
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    samples, rows = [], []
    for number in range(num_pairs):
        # Smooth noise: a JPEG of about a photo's size.
        small = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        stream = io.BytesIO()
        small.resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=95)
        key = f"{number:09d}"
        samples.append({"__key__": key, "jpg": stream.getvalue(), "json": b"{}"})
        rows.append({"key": key, "shard": "00000", **captions(number)})
    shards.write_shard(folder / "shards" / "00000.tar", samples)
    pq.write_table(pa.Table.from_pylist(rows), folder / "kept.parquet")


class Bare:
    """The model on the batches that embed_pairs gives it, kept ready."""

    def __init__(self, teacher, samples: list[dict], texts: list[list[str]]):
        images = [shards.image_of(sample) for sample in samples]
        self.teacher = teacher
        self.pixels = [
            teacher.prepare_images(images[start : start + BATCH]) for start in range(0, len(images), BATCH)
        ]
        self.tokens = [
            teacher.processor(text=some[start : start + BATCH], padding=True, return_tensors="pt")
            for some in texts
            for start in range(0, len(some), BATCH)
        ]

    @torch.inference_mode()
    def __call__(self) -> None:
        for pixels in self.pixels:
            self.teacher.model.get_image_features(**pixels)
        for tokens in self.tokens:
            self.teacher.model.get_text_features(**tokens)


def timed(work) -> tuple[float, float]:
    """(seconds, CPU seconds)."""
    start, used = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - start, time.process_time() - used


def main() -> None:
    """Write, run both in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_teacher(place / "teacher", options.layers)
        write_pairs(place / "raw", options.pairs, options.side)
        embedder = Embedder(str(place / "teacher"), num_threads=1)
        (item,) = shard_items(place / "raw", place / "raw", place / "out")
        rows = pq.read_table(place / "raw" / "kept.parquet").to_pylist()
        samples = list(shards.read_shard(place / "raw" / "shards" / "00000.tar"))
        bare = Bare(embedder.teacher, samples, [[row[lang] for row in rows] for lang in ("zh", "en")])

        def embed() -> None:
            shutil.rmtree(place / "out", ignore_errors=True)
            for name in ("shards", "scores"):
                (place / "out" / name).mkdir(parents=True)
            embedder(item)

        bare()
        took: dict[str, list] = {"bare": [], "embed": []}
        for _ in range(options.rounds):
            took["bare"].append(timed(bare))
            took["embed"].append(timed(embed))
    print(f"{'':>8} {'seconds':>8} {'CPU s':>8} {'pairs/s':>8}   (the quickest of {options.rounds})")
    used = {}
    for name, runs in took.items():
        seconds, used[name] = (min(column) for column in zip(*runs, strict=True))
        print(f"{name:>8} {seconds:>8.2f} {used[name]:>8.2f} {options.pairs / seconds:>8.1f}")
    print(f"figure embed_vs_teacher {used['bare'] / used['embed']:.3f}")


if __name__ == "__main__":
    main()
