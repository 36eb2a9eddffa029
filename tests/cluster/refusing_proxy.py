"""A proxy on loopback before a real server, which refuses what a test wants refused: the server's bad day."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Of one connection alone, and a body's: it is passed on whole.
HOP = {"connection", "transfer-encoding", "content-length", "expect", "keep-alive"}


@dataclass(frozen=True)
class Refusal:
    """What the proxy answers in the server's place; status 0 ends the connection without a word."""

    status: int
    body: bytes = b""


@dataclass
class Gate:
    """Asked before each request, given its method and path; None lets it through."""

    url: str
    refuse: Callable[[str, str], Refusal | None] = lambda method, path: None
    passed: list[str] = field(default_factory=list)


@contextlib.contextmanager
def refusing_proxy(upstream: str) -> Iterator[Gate]:
    """A gate before the server at `upstream`, open at first."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(urlsplit(upstream).netloc))
    server.gate = Gate(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.gate
    finally:
        server.shutdown()
        server.server_close()


def _handler(upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            refusal = self.server.gate.refuse(self.command, self.path)
            if refusal:
                self.answer(refusal.status, {"Content-Type": "application/xml"}, refusal.body)
                return
            self.server.gate.passed.append(f"{self.command} {self.path}")
            with contextlib.closing(http.client.HTTPConnection(upstream)) as connection:
                # The host as the client wrote it: its signature covers that.
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in HOP:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                found = connection.getresponse()
                self.answer(found.status, dict(found.getheaders()), found.read())

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            if not status:
                self.close_connection = True
                return
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            # The answer to HEAD tells the length of what it does not bring.
            told = {name.lower(): value for name, value in headers.items()}.get("content-length", "0")
            self.send_header("Content-Length", told if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = pass_on

        def log_message(self, format: str, *args) -> None:
            pass

    return Handler
