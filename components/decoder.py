"""Decoding in a process of its own, where what strangers' bytes do to a decoder costs one row.

`IsolatedResizer` stands where img2dataset has its resizer. Each of its processes keeps one child, which gets
a file a time and gives back the picture as it is kept. A child that crashes, is killed or takes too long is
replaced, and the row gets a reason. On Linux a child gets `MAX_BYTES` of memory and no more.

Messages are a length and that many bytes; what comes back is JSON and a picture, never a pickle. A child ends
when its input does, so none outlives its parent.
"""

import contextlib
import fcntl
import functools
import io
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from components.reduced_decoding import Output, ReducingResizer

MAX_SECONDS = 60
# Beyond what the child takes when it starts. 32 million pixels with alpha in an animated WEBP take most.
MAX_BYTES = 2**30
PIPE_BYTES = 2**20
# Of glibc: without them a child gives the memory of each picture back and takes it anew, a fifth of its work.
KEPT_PAGES = {"MALLOC_TRIM_THRESHOLD_": str(2**26), "MALLOC_MMAP_THRESHOLD_": str(2**24)}
READY = b"ready"


@dataclass(frozen=True)
class IsolatedResizer:
    """A `ReducingResizer` in a child of this process."""

    output: Output

    def __call__(self, stream: io.BytesIO, boxes: Any = None) -> tuple:
        """As `ReducingResizer` answers; `decoder_crashed` and `worker_killed` come from here."""
        child = _child(self.output)
        try:
            return child.ask(stream.getvalue())
        except (EOFError, BrokenPipeError, TimeoutError) as error:
            _child.cache_clear()
            return *[None] * 5, child.stop(error)


class Child:
    """The process that decodes."""

    def __init__(self, output: Output):
        environment = {**os.environ, **KEPT_PAGES, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "components.decoder", json.dumps(asdict(output))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(AttributeError, OSError):  # Linux's, and a user gets only so much
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.is_ready = False

    def ask(self, body: bytes) -> tuple:
        """What becomes of a file.

        Raises:
            EOFError, BrokenPipeError, TimeoutError: the process has ended, or takes too long.
        """
        self.is_ready = self.is_ready or bool(_exactly(self.process.stdout, len(READY)))
        send(self.process.stdin, body)
        waiting = select.poll()
        waiting.register(self.process.stdout, select.POLLIN)
        if not waiting.poll(MAX_SECONDS * 1000):
            raise TimeoutError
        facts = json.loads(receive(self.process.stdout))
        file = receive(self.process.stdout)
        return bytes(file) or None, *facts

    def stop(self, error: Exception) -> str:
        """End it; returns the row's message.

        Raises:
            RuntimeError: it has never worked, which is no fault of the row.
        """
        self.process.kill() if isinstance(error, TimeoutError) else None
        code = self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        if isinstance(error, TimeoutError):
            return f"decoder_crashed: not done after {MAX_SECONDS} seconds"
        if code > 0 and not self.is_ready:
            raise RuntimeError(f"the decoder does not start (exit {code}, see above)")
        if code == -signal.SIGKILL:
            return "worker_killed: most often for the machine's memory"
        return f"decoder_crashed: {signal.strsignal(-code) if code < 0 else f'exit {code}'}"


@functools.lru_cache(maxsize=1)
def _child(output: Output) -> Child:
    return Child(output)


def send(stream: BinaryIO, content: bytes) -> None:
    """Write a message to an unbuffered stream."""
    view = memoryview(struct.pack(">Q", len(content)) + content)
    while view:
        view = view[stream.write(view) :]


def receive(stream: BinaryIO) -> bytes:
    """Read a message.

    Raises:
        EOFError: the other side has ended.
    """
    (length,) = struct.unpack(">Q", _exactly(stream, 8))
    return _exactly(stream, length)


def _exactly(stream: BinaryIO, length: int) -> bytearray:
    content = bytearray(length)
    left = memoryview(content)
    while left:
        if not (count := stream.readinto(left)):
            raise EOFError
        left = left[count:]
    return content


def limit_memory(max_bytes: int) -> None:
    """So much more address space than now, on Linux; elsewhere nothing happens."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + max_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def work(output: Output) -> None:
    """The child."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    source, sink = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    resizer = ReducingResizer(output)
    limit_memory(MAX_BYTES)
    with contextlib.suppress(BrokenPipeError):  # the parent has ended
        sink.write(READY)
        answer(source, sink, resizer)


def answer(source: BinaryIO, sink: BinaryIO, resizer: ReducingResizer) -> None:
    """Files in, pictures out, until there are no more."""
    # Decoders write what they think of a file to standard output and error.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    while True:
        try:
            body = receive(source)
        except EOFError:
            return
        file, *facts = resizer(io.BytesIO(body))
        send(sink, json.dumps(facts).encode())
        send(sink, file or b"")


if __name__ == "__main__":
    work(Output(**json.loads(sys.argv[1])))
