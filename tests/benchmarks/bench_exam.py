"""Pictures a second of an exam beside the bare forward pass of the image tower on the same pictures.

    python -m tests.benchmarks.bench_exam small
    python -m tests.benchmarks.bench_exam STUDENT_DIRECTORY --images 5000 --side 300 --rounds 5

A name of pipelines/students.py is built with random weights: time does not depend on them. The text tower's
work on 100 classes and three templates is part of the exam, so that a small set lowers the ratio.
The exam reads, decodes, prepares, embeds and marks; the bare pass has its batches ready. Both in turn, by
medians of the rounds. Where one core does both, decoding is part of the ratio; on a device it goes on beside.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

TOY = Path(__file__).resolve().parents[1] / "training"
sys.path[:0] = [str(TOY), str(TOY / "exams")]

from toy_exams import write_tars  # noqa: E402
from toy_training import TEXTS  # noqa: E402

from pipelines.students import STUDENTS  # noqa: E402
from training import shards  # noqa: E402
from training.exams.classify import examine_set  # noqa: E402
from training.exams.embedding import batches  # noqa: E402
from training.exams.folders import PictureSet, open_set  # noqa: E402
from training.exams.papers import own_paper  # noqa: E402
from training.student import Student, build_student, load_student  # noqa: E402
from training.tokenizer import train_tokenizer  # noqa: E402
from training.zero_shot import StudentEncoder  # noqa: E402

NAMES = "\n".join(str(number) for number in range(100))


def write_pictures(folder: Path, num: int, side: int) -> PictureSet:
    """A set of JPEGs of soft noise, about as costly to decode as photographs."""
    chance = np.random.default_rng(0)
    samples = []
    for number in range(num):
        rough = chance.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(rough).resize((side, side)).save(stream, "JPEG")
        samples.append({"jpg": stream.getvalue(), "cls": str(number % 100).encode()})
    return open_set(write_tars(folder / "noise", samples, classnames=NAMES))


def open_student(name: str) -> Student:
    """A student by its directory, or one of random weights by its name."""
    if name not in STUDENTS:
        return load_student(Path(name))
    shape = STUDENTS[name]
    return build_student(shape, train_tokenizer(TEXTS, shape.vocab_size, shape.max_tokens), 768)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student", help="a name of pipelines/students.py, or a student's directory")
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--side", type=int, default=128, help="of the pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    encoder = StudentEncoder(open_student(options.student))
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), options.images, options.side)
        paper = own_paper("noise", pictures, ("en",), None)
        decoded = [shards.decode(content) for content, _ in pictures.samples()]
        ready = [encoder.prepare_images(batch) for batch in batches(decoded)]
        encoder.embed_prepared(ready[0])
        seconds: dict[str, list[float]] = {"forward": [], "exam": []}
        for _ in range(options.rounds):
            start = time.monotonic()
            for batch in ready:
                encoder.embed_prepared(batch)
            seconds["forward"].append(time.monotonic() - start)
            start = time.monotonic()
            examine_set(pictures, paper, {"student": encoder}, "exam")
            seconds["exam"].append(time.monotonic() - start)
    rates = {name: options.images / statistics.median(rounds) for name, rounds in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:10}{rate:10.1f} pictures/s")
    print(f"figure exam_vs_forward {rates['exam'] / rates['forward']:.3f}")


if __name__ == "__main__":
    main()
