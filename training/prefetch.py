"""Batches made ready by a thread while the device computes, and how long the device waited for them."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

DEPTH = 2


class Prefetched:
    """Iterates over `(step, make(step))`, made ahead in order; `.waited_seconds` grows while one waits."""

    def __init__(self, make: Callable[[int], dict], steps: Iterable[int]):
        self.make, self.steps = make, steps
        self.waited_seconds = 0.0

    def __iter__(self) -> Iterator[tuple[int, dict]]:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
            ahead: deque[tuple[int, Future]] = deque()
            for step in self.steps:
                ahead.append((step, pool.submit(self.make, step)))
                if len(ahead) > DEPTH:
                    yield self._next(ahead)
            while ahead:
                yield self._next(ahead)

    def _next(self, ahead: deque[tuple[int, Future]]) -> tuple[int, dict]:
        step, future = ahead.popleft()
        start = time.monotonic()
        batch = future.result()
        self.waited_seconds += time.monotonic() - start
        return step, batch
