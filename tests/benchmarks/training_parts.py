"""What the training benchmarks share: made-up pairs and texts, a student, a clock that alternates."""

import random
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from training import data
from training.settings import StudentShape
from training.student import Student, build_student
from training.tokenizer import train_tokenizer

WORDS = [f"word{number}" for number in range(2_000)] + [chr(0x4E00 + number) for number in range(2_000)]


def made_up_texts(num: int, words: int = 8) -> list[str]:
    """Texts of random words in both scripts."""
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=words)) for _ in range(num)]


def made_up_pairs(num: int, side: int, width: int) -> data.Pairs:
    """Random images and vectors, with a caption in both languages."""
    torch.manual_seed(0)
    texts = made_up_texts(num)
    vectors = {lang: normalize(torch.randn(num, width), dim=1) for lang in data.LANGUAGES}
    return data.Pairs(
        torch.randint(0, 256, (num, 3, side, side), dtype=torch.uint8),
        dict.fromkeys(data.LANGUAGES, texts),
        normalize(torch.randn(num, width), dim=1),
        vectors,
        {lang: torch.ones(num) for lang in data.LANGUAGES},
    )


def made_up_student(shape: StudentShape, width: int) -> Student:
    """A student of that shape, in training mode, its vocabulary filled up to what the shape asks for."""
    torch.manual_seed(0)
    student = build_student(
        shape, train_tokenizer(made_up_texts(2_000), shape.vocab_size, shape.max_tokens), width
    )
    student.model.resize_token_embeddings(shape.vocab_size)
    student.model.train().to(memory_format=torch.channels_last)
    return student


def seconds_each(*works: Callable[[], object], repeats: int = 5) -> list[float]:
    """Median seconds of each piece of work, taken in turn so that a drifting machine harms all alike."""
    for work in works:
        work()
    times = [[_seconds(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
