"""Broken files, made from whole ones by a generator with a fixed seed: the same on every machine."""

import random
from collections.abc import Iterator

INTERESTING = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0")


def broken(files: list[bytes], number: int, seed: int = 0) -> Iterator[bytes]:
    """`number` files, each one of `files` changed in one to eight places."""
    rng = random.Random(seed)
    for _ in range(number):
        body = bytearray(rng.choice(files))
        for _ in range(rng.randint(1, 8)):
            rng.choice(CHANGES)(body, rng)
        yield bytes(body)


def _position(body: bytearray, rng: random.Random) -> int:
    """More often near the start, where headers are."""
    return int(len(body) * rng.random() ** 3)


def _flip(body: bytearray, rng: random.Random) -> None:
    if body:
        body[_position(body, rng)] ^= 1 << rng.randrange(8)


def _overwrite(body: bytearray, rng: random.Random) -> None:
    start, value = _position(body, rng), rng.choice(INTERESTING)
    body[start : start + len(value)] = value


def _cut(body: bytearray, rng: random.Random) -> None:
    del body[_position(body, rng) + 1 :]


def _remove(body: bytearray, rng: random.Random) -> None:
    start = _position(body, rng)
    del body[start : start + rng.randint(1, 16)]


def _repeat(body: bytearray, rng: random.Random) -> None:
    start = _position(body, rng)
    body[start:start] = body[start : start + rng.randint(1, 64)]


CHANGES = (_flip, _flip, _overwrite, _overwrite, _cut, _remove, _repeat)
