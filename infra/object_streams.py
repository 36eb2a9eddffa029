"""Objects as files: read by ranges with read-ahead, written as a multipart upload, never whole in memory.

`SequentialReader` is for tars, which are read from front to back: a few blocks are fetched ahead while the
caller works on the one before. `RangeReader` is for parquet, whose reader asks for exactly what it needs.
`ObjectWriter` sends parts while it is written; the object appears when it is closed without an error, and an
error aborts the upload, so that nobody finds half an object under its name.

Errors are StoreError and never OSError: a fault of the network is not mistaken for a broken file. Left out on
purpose: pyarrow's S3 output streams, which complete a half-written object when the body raises (measured with
pyarrow 25.0.1), and s3fs, whose aiobotocore holds botocore back.
"""

import contextlib
import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from infra.object_parts import Interrupted, OpenObject, PartedUpload, read_range, size_of
from infra.object_store import PART_BYTES, StoreError

BLOCK_BYTES = 8 * 2**20
NUM_AHEAD = 2
# Parts that may be under way at once.
NUM_PARTS_AHEAD = 3
NUM_TRIES = 5


def _read(source: OpenObject, first: int, number: int) -> tuple[bytes, int]:
    """As `read_range`, again where an answer breaks off."""
    for _ in range(NUM_TRIES - 1):
        with contextlib.suppress(Interrupted):
            return read_range(source, first, number)
    try:
        return read_range(source, first, number)
    except Interrupted as error:
        raise StoreError(f"{source.url}: {error}, {NUM_TRIES} times") from error


class _Reader(io.RawIOBase):
    """What both readers share: a position in an object of known size."""

    def __init__(self, url: str, endpoint: str):
        self._object, self._at = OpenObject(url, endpoint), 0
        self._size = -1

    @property
    def size(self) -> int:
        """The object's bytes."""
        if self._size < 0:
            self._size = size_of(self._object.url, self._object.endpoint)
        return self._size

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is fetched for it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, offset + (self.size if start is None else start))
        return self._at

    def readinto(self, buffer) -> int:
        """Fill the buffer from the position on, as far as the object goes."""
        content = self._read(len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _read(self, number: int) -> bytes:
        raise NotImplementedError


class RangeReader(_Reader):
    """Fetches exactly the ranges that are asked for."""

    def _read(self, number: int) -> bytes:
        number = min(number, self.size - self._at)
        return _read(self._object, self._at, number)[0] if number > 0 else b""


class SequentialReader(_Reader):
    """Fetches blocks, some of them ahead."""

    def __init__(self, url: str, endpoint: str):
        super().__init__(url, endpoint)
        self._threads = ThreadPoolExecutor(1 + NUM_AHEAD, thread_name_prefix="read-ahead")
        self._blocks: dict[int, Future] = {}
        first, self._size = _read(self._object, 0, BLOCK_BYTES)
        self._blocks[0] = Future()
        self._blocks[0].set_result((first, self._size))

    def _read(self, number: int) -> bytes:
        # All of it, across blocks: tarfile takes a short answer for the end of the file.
        pieces, at, end = [], self._at, min(self._at + number, self._size)
        while at < end:
            block, offset = divmod(at, BLOCK_BYTES)
            self._fetch(range(block, block + 1 + NUM_AHEAD))
            pieces.append(self._blocks[block].result()[0][offset : offset + end - at])
            at += len(pieces[-1])
        return b"".join(pieces)

    def _fetch(self, wanted: range) -> None:
        """Have these blocks on the way, and no others."""
        for block in self._blocks.keys() - set(wanted):
            self._blocks.pop(block).cancel()
        for block in wanted:
            if block not in self._blocks and block * BLOCK_BYTES < self._size:
                task = (_read, self._object, block * BLOCK_BYTES, BLOCK_BYTES)
                self._blocks[block] = self._threads.submit(*task)

    def close(self) -> None:
        """Give up what is still on the way."""
        if not self.closed:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._blocks.clear()
        super().close()


class ObjectWriter(io.RawIOBase):
    """Writes an object; see the module. Use it in a `with`, which aborts it on an error."""

    _done = True

    def __init__(self, url: str, endpoint: str):
        self._upload = PartedUpload(url, endpoint)
        self._threads = ThreadPoolExecutor(NUM_PARTS_AHEAD, thread_name_prefix="parts")
        self._waiting: deque[Future] = deque()
        self._buffer, self._at, self._done = bytearray(), 0, False

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The bytes written so far."""
        return self._at

    def write(self, content) -> int:
        """Take bytes; a part goes up as soon as it is full."""
        content = memoryview(content).cast("B")
        self._buffer += content
        self._at += len(content)
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]
        return len(content)

    def _send(self, part: bytes) -> None:
        if len(self._waiting) == NUM_PARTS_AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._threads.submit(self._upload.send, self._upload.next_number(), part))

    def close(self) -> None:
        """Send the rest and let the object appear."""
        if not self._done and not self.closed:
            self._done = True
            with self._threads:
                self._finish()
        super().close()

    def _finish(self) -> None:
        try:
            if self._upload.started and self._buffer:
                self._send(bytes(self._buffer))
            for part in self._waiting:
                part.result()
            self._upload.complete(bytes(self._buffer))
        except BaseException:
            self._upload.abort()
            raise

    def abort(self) -> None:
        """Forget all that was written."""
        if not self._done:
            self._done = True
            self._threads.shutdown(cancel_futures=True)
            self._upload.abort()
        super().close()

    def __exit__(self, kind, error, traceback) -> None:
        self.abort() if kind else self.close()

    def __del__(self) -> None:
        # What was forgotten half-written must not become an object.
        if not self._done:
            self.abort()
