"""A bound on the bytes of all bodies that a process holds, however many threads fetch them."""

import io
import threading
import time


class ByteBudget:
    """So many bytes; threads that need some wait for those who have them.

    A thread takes all it may need at once, so that no two can wait for each other.
    """

    def __init__(self, num_bytes: int):
        self._left = self._whole = num_bytes
        self._changed = threading.Condition()

    def take(self, num_bytes: int) -> float:
        """Wait for bytes; returns how many seconds that took."""
        assert num_bytes <= self._whole
        start = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._left >= num_bytes)
            self._left -= num_bytes
        return time.monotonic() - start

    def give(self, num_bytes: int) -> None:
        """Give bytes back."""
        with self._changed:
            self._left += num_bytes
            self._changed.notify_all()


class HeldBody(io.BytesIO):
    """A body whose bytes go back to the budget when it is closed."""

    def __init__(self, body: bytes, budget: ByteBudget):
        super().__init__(body)
        self._budget, self._num_bytes = budget, len(body)

    def close(self) -> None:
        """Also called when it is collected."""
        if not self.closed:
            self._budget.give(self._num_bytes)
        super().close()
