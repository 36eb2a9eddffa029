"""What a server says before its answer (100, 102, 103) is passed over."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from infra.safe_fetch import Allowance, FetchLimits, Refusal, opened, read_body

LIMITS = FetchLimits(max_bytes=100_000, max_redirects=1, max_seconds=5, allow_private_addresses=True)
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE, PROCESSING = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture"
GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"


@contextlib.contextmanager
def answering(content: bytes) -> Iterator[str]:
    """The URL of a server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(65_536)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(content)

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def fetch(url: str) -> bytes:
    with opened(url, {}, Allowance(LIMITS, 5)) as response:
        return read_body(response, LIMITS)


BEFORE = [
    b"",
    HINTS,
    HINTS * 3,
    CONTINUE + HINTS,
    PROCESSING + HINTS + CONTINUE,
    HINTS * 50,
]


@pytest.mark.parametrize("before", BEFORE)
def test_the_final_answer_counts(before):
    with answering(before + OK) as url:
        assert fetch(url) == b"picture"
    with answering(before + GONE) as url, pytest.raises(HTTPError, match="404"):
        fetch(url)


def test_interim_answers_without_end_are_refused():
    with answering(HINTS * 2_000 + OK) as url, pytest.raises(Refusal, match="too_many_bytes"):
        fetch(url)


def test_another_protocol_is_no_answer():
    with answering(SWITCH + OK) as url, pytest.raises(HTTPError, match="101"):
        fetch(url)
