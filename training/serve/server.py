"""Starts the page's server, and says where.

A connection that asks nothing is closed after `MAX_SILENT_SECONDS`, and none but requests at work count
against `MAX_REQUESTS`: whoever opens many and stays silent keeps nobody else out.
"""

import asyncio
import socket
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

ANY = ("0.0.0.0", "::")
# Requests at work; more are told to come again.
MAX_REQUESTS = 32
# Time for a request's line and headers, and between two requests of a connection.
MAX_SILENT_SECONDS = 5.0
# A system lets a process have 1,024 files; more wait in the socket's queue.
MAX_CONNECTIONS = 512


class ImpatientProtocol(H11Protocol):
    """uvicorn's, whose own timeout begins after the first answer and ends with a request's first byte."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Closed at once where there are too many, else after a silence."""
        super().connection_made(transport)
        self._last_cycle = None
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._expect_request()

    def _expect_request(self) -> None:
        self.loop.call_later(MAX_SILENT_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        """Unless a request is at work, or one was since the last look."""
        is_at_work = self.cycle is not None and not self.cycle.response_complete
        if self.transport.is_closing():
            return
        if is_at_work or self.cycle is not self._last_cycle:
            self._last_cycle = self.cycle
            self._expect_request()
        else:
            self.transport.abort()


class Bounded:
    """An application that answers at most `MAX_REQUESTS` requests at a time."""

    def __init__(self, app: Starlette):
        self.app, self.num_requests = app, 0

    async def __call__(self, scope, receive, send) -> None:
        """One request."""
        if self.num_requests >= MAX_REQUESTS:
            busy = PlainTextResponse("busy, ask again", 503, headers={"Connection": "close"})
            return await busy(scope, receive, send)
        self.num_requests += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.num_requests -= 1


def hosts_of(host: str, listening: socket.socket) -> list[str]:
    """Names under which a server told to listen on `host` may be asked; any where that is all addresses."""
    bound = listening.getsockname()[0]
    return ["*"] if bound in ANY else sorted({host, bound, f"[{bound}]", "127.0.0.1", "localhost"})


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: the port is taken, or no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def address_of(listening: socket.socket) -> str:
    """The URL of what listens there."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ip_address(host).version == 6 else f"http://{host}:{port}/"


def make_server(app: Starlette) -> uvicorn.Server:
    """A server that says nothing but errors; `run(sockets=[...])` serves until it is interrupted."""
    options = {"log_level": "error", "access_log": False, "lifespan": "off", "server_header": False}
    return uvicorn.Server(uvicorn.Config(Bounded(app), http=ImpatientProtocol, **options))
