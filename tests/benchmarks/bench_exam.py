"""The zero-shot exam against the bare image tower: what reading, decoding, resizing and class names cost.

    python -m tests.benchmarks.bench_exam [--student small] [--pictures 320] [--threads 1 --cpu-time]

The exam is generated, in clip_benchmark's webdataset form: JPEGs of 256 px, one text to ten pictures (as
ELEVATER's sets have with a few templates a class in both languages). The student, random weights, sits it as
in evaluate_student, from the tar to the cosines; the bare forward runs the image tower over the same
pictures, prepared beforehand in the same batches. They take turns; the last line is
`figure exam_vs_forward VALUE`, the median ratio of neighbours. `--cpu-time` counts the processor's time
instead of the clock: then what runs beside the forward counts in full.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from pipelines.students import STUDENTS
from tests.benchmarks.clocks import CLOCKS
from tests.benchmarks.generated_pairs import NUM_PICTURES, WIDTH, generated_student, jpegs, words
from tests.benchmarks.towers.from_transformers import Images
from tests.benchmarks.towers.tower import settle
from training import shards, zero_shot

SIDE, PICTURES_PER_TEXT = 256, 10
TEMPLATES = {"en": ("{c}", "a photo of a {c}"), "zh": ("{c}", "一张{c}的照片")}


def main(arguments: list[str] | None = None) -> None:
    """Generate, sit the exam and run the bare tower in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="small", choices=STUDENTS)
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="processor time, not the clock's")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        write_exam(Path(folder), options.pictures)
        exam, forward = measure(Path(folder), options)
    ratios = [bare / whole for whole, bare in zip(exam, forward, strict=True)]
    print(f"{options.student}, {options.pictures} pictures, {options.threads} threads")
    for name, taken in (("exam", exam), ("forward", forward)):
        print(f"{name:>8} {options.pictures / statistics.median(taken):9.1f} pictures/s")
    print(f"figure exam_vs_forward {statistics.median(ratios):.3f}")


def write_exam(folder: Path, num_pictures: int) -> None:
    """An exam of so many pictures of noise, with a few classes and templates in both languages."""
    num_texts = num_pictures // PICTURES_PER_TEXT
    num_classes = max(2, num_texts // sum(map(len, TEMPLATES.values())))
    files = jpegs(SIDE)
    samples = (
        {
            "__key__": f"{number:06d}",
            "jpg": files[number % NUM_PICTURES],
            "cls": str(number % num_classes).encode(),
        }
        for number in range(num_pictures)
    )
    (folder / "test").mkdir()
    shards.write_shard(folder / "test" / "0.tar", samples)
    for lang, suffix in zero_shot.SUFFIXES.items():
        texts = {
            "classnames": words(lang)[:num_classes],
            "zeroshot_classification_templates": TEMPLATES[lang],
        }
        for name, lines in texts.items():
            (folder / f"{name}{suffix}.txt").write_text("\n".join(lines) + "\n")


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Seconds of the exam and of the bare forward, round by round."""
    student = generated_student(options.student, WIDTH)
    settle(Images(student.model), student.image_processor.size["height"])
    encoder = zero_shot.StudentEncoder(student)
    pictures = zero_shot.read_exam(folder).images
    starts = range(0, len(pictures), zero_shot.BATCH)
    batches = [encoder.prepare_images(pictures[start : start + zero_shot.BATCH]) for start in starts]
    runs = (
        lambda: zero_shot.similarities(encoder, zero_shot.read_exam(folder)),
        lambda: [encoder.embed_prepared(batch) for batch in batches],
    )
    clock = CLOCKS["cpu" if options.cpu_time else "wall"]
    rounds = [[seconds(run, clock) for run in runs] for _ in range(1 + options.rounds)]
    # The first round warms up.
    exam, forward = zip(*rounds[1:], strict=True)
    return list(exam), list(forward)


def seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """That one run takes."""
    start = clock()
    run()
    return clock() - start


if __name__ == "__main__":
    main()
