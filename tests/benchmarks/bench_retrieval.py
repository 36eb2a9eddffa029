"""Recall over random vectors: pairs compared a second, and the memory on top of the vectors.

    python -m tests.benchmarks.bench_retrieval
    python -m tests.benchmarks.bench_retrieval --images 1000000 --texts 20000

Texts are the images' vectors with noise, one each, for the first `--texts` images (all by default). Each
is compared with every image. With fewer texts a line tells what all would take. A bare matrix product of one
block of vectors is the yardstick.
"""

import argparse
import resource
import time

import numpy as np
import torch

from training.exams.retrieval import BLOCK, recalls


def vectors(num: int, width: int, seed: int) -> np.ndarray:
    """Random unit vectors (num, width) in float32."""
    rows = np.random.default_rng(seed).standard_normal((num, width), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def bare_rate(images: np.ndarray, texts: np.ndarray, seconds: float) -> float:
    """Pairs a second of matrix products alone."""
    first, second = (torch.from_numpy(rows[:BLOCK]) for rows in (images, texts))
    first @ second.T
    start, pairs = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        pairs += (first @ second.T).numel()
    return pairs / (time.monotonic() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--texts", type=int, default=0)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the bare product runs")
    options = parser.parse_args()
    num_texts = min(options.texts or options.images, options.images)
    images = vectors(options.images, options.width, 0)
    texts = images[:num_texts] + vectors(num_texts, options.width, 1) * 0.7
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    pairs = np.stack([np.arange(num_texts)] * 2, axis=1)
    bare = bare_rate(images, texts, options.seconds)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    found = recalls(images, texts, pairs, "retrieval")
    seconds = time.monotonic() - start
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    rate = options.images * num_texts / seconds
    threads = torch.get_num_threads()
    print(f"{options.images:,} images, {num_texts:,} texts, width {options.width}, {threads} threads")
    print(f"{'seconds':12}{'pairs/s':>12}{'of bare':>10}{'MiB more':>10}{'mean recall':>13}")
    print(f"{seconds:<12.1f}{rate:12.3g}{rate / bare:10.2f}{more:10.0f}{found['mean_recall']:13.4f}")
    print(f"{options.images:,} texts would take {options.images**2 / rate / 3600:.2f} hours")
    print(f"figure retrieval_pairs_per_second {rate:.4g}")
    print(f"figure retrieval_vs_bare_product {rate / bare:.3f}")
    print(f"figure retrieval_megabytes_more {more:.0f}")


if __name__ == "__main__":
    main()
