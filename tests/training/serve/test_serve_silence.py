"""Connections that stay silent keep nobody out, and are closed."""

import contextlib
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from training.serve import server
from training.serve.app import _body


@pytest.fixture
def address(monkeypatch) -> Iterator[tuple[str, int]]:
    """Where a small application listens that echoes the length of a body, with a short patience."""
    monkeypatch.setattr(server, "MAX_SILENT_SECONDS", 0.2)
    monkeypatch.setattr("training.serve.app.MAX_BODY_SECONDS", 0.2)

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(len(await _body(request)))

    listening = server.listen("127.0.0.1", 0)
    running = server.make_server(Starlette(routes=[Route("/", echo, methods=["GET", "POST"])]))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[:2]
    running.should_exit = True
    thread.join(10)
    listening.close()


def ask(address: tuple[str, int], body: bytes = b"") -> bytes:
    return urllib.request.urlopen("http://{}:{}/".format(*address), body or None, timeout=10).read()


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: here\r\n"])
def test_silent_connections_keep_nobody_out_and_are_closed(address, said):
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(60)]
        for connection in silent:
            connection.sendall(said)
        assert ask(address, b"12345") == b"5"
        assert all(map(is_closed, silent))


def test_a_header_that_drips_is_not_waited_for(address):
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - start < 10:
                connection.sendall(b"a")
                connection.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        break
        assert time.monotonic() - start < 10


def test_a_body_that_does_not_come_is_not_waited_for(address):
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n12")
        connection.settimeout(10)
        assert connection.recv(1_000)


def test_requests_above_the_limit_are_told_to_come_again(address, monkeypatch):
    monkeypatch.setattr(server, "MAX_REQUESTS", 0)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        ask(address)
