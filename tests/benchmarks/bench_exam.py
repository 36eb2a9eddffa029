"""The zero-shot exam against the bare image tower: what reading, decoding, resizing and class names cost.

    python -m tests.benchmarks.bench_exam [small | STUDENT_DIRECTORY] [--pictures 320] [--cpu-time]

The set is generated, in clip_benchmark's webdataset form: JPEGs of 256 px, one text to ten pictures (as
ELEVATER's sets have with a few templates a class in both languages). The student, random weights where it is
a name of pipelines/students.py, sits it as evaluate_student lets it: as a `published` set, decoded beside the
forward passes, and as the `demo`'s own exam, read as a whole. The bare forward runs the image tower over the
same pictures, prepared beforehand in the same batches. They take turns; the last line is
`figure exam_vs_forward VALUE` of the published set, the median ratio of neighbours. `--cpu-time` counts the
processor's time instead of the clock: then what runs beside the forward counts in full.
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
from training.exams.classify import examine_set
from training.exams.folders import open_set
from training.exams.papers import own_paper
from training.student import Student, load_student

SIDE, PICTURES_PER_TEXT = 256, 10
TEMPLATES = {"en": ("{c}", "a photo of a {c}"), "zh": ("{c}", "一张{c}的照片")}


def main(arguments: list[str] | None = None) -> None:
    """Generate, sit the exam both ways and run the bare tower in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("student", nargs="?", default="small", help="a name, or a student's directory")
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="processor time, not the clock's")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        write_exam(Path(folder), options.pictures)
        taken = measure(Path(folder), options)
    print(f"{options.student}, {options.pictures} pictures, {options.threads} threads")
    ratios = {}
    for name, times in taken.items():
        pairs = zip(times, taken["forward"], strict=True)
        ratios[name] = statistics.median(bare / whole for whole, bare in pairs)
        print(f"{name:>10} {options.pictures / statistics.median(times):9.1f} pictures/s {ratios[name]:6.3f}")
    print(f"figure exam_vs_forward {ratios['published']:.3f}")


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


def measure(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of both ways to sit the exam and of the bare forward, round by round."""
    encoder = zero_shot.StudentEncoder(open_student(options.student))
    pictures = zero_shot.read_exam(folder).images
    starts = range(0, len(pictures), zero_shot.BATCH)
    batches = [encoder.prepare_images(pictures[start : start + zero_shot.BATCH]) for start in starts]
    shown = open_set(folder)
    paper = own_paper("generated", shown, tuple(TEMPLATES), None)
    runs = {
        "published": lambda: examine_set(shown, paper, {"student": encoder}, "bench_exam"),
        "demo": lambda: zero_shot.similarities(encoder, zero_shot.read_exam(folder)),
        "forward": lambda: [encoder.embed_prepared(batch) for batch in batches],
    }
    clock = CLOCKS["cpu" if options.cpu_time else "wall"]
    rounds = [{name: seconds(run, clock) for name, run in runs.items()} for _ in range(1 + options.rounds)]
    # The first round warms up.
    return {name: [taken[name] for taken in rounds[1:]] for name in runs}


def open_student(name: str) -> Student:
    """A student by its directory, or one of random weights by its name."""
    if name not in STUDENTS:
        return load_student(Path(name))
    student = generated_student(name, WIDTH)
    settle(Images(student.model), student.image_processor.size["height"])
    return student


def seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """That one run takes."""
    start = clock()
    run()
    return clock() - start


if __name__ == "__main__":
    main()
