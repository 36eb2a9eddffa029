"""A proxy before the tests' S3 server that notes each request and the bytes of its answer.

It passes on what it gets, byte for byte, so that signatures hold, and reads no more of HTTP than where a
request begins. What a client reads ahead and does not use counts too.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (/\S*) HTTP/1\.1\r\n")


@dataclass
class Request:
    """One request: its method, the path (`/bucket/key`), the bytes up and down, headers included."""

    method: str
    path: str
    num_sent: int = 0
    num_received: int = 0


class Counter:
    """The proxy's address and what has gone through it."""

    def __init__(self, server: str):
        self._server = (urlsplit(server).hostname, urlsplit(server).port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.requests: list[Request] = []

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def of(self, method: str, part: str = "") -> list[Request]:
        """The requests of a method whose path has this part."""
        return [each for each in list(self.requests) if each.method == method and part in each.path]

    def bytes_read(self, part: str = "") -> int:
        """Bytes of the answers to GET, headers included."""
        return sum(each.num_received for each in self.of("GET", part))

    def serve(self) -> None:
        """Take connections until the proxy is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        server = socket.create_connection(self._server)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own: list[Request] = []
        back = threading.Thread(target=self._answer, args=(server, client, own), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while content := client.recv(65536):
                if found := REQUEST.match(content):
                    own.append(Request(found[1].decode(), unquote(found[2].decode())))
                    self.requests.append(own[-1])
                own[-1].num_sent += len(content)
                server.sendall(content)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        back.join()

    def _answer(self, server: socket.socket, client: socket.socket, own: list[Request]) -> None:
        with contextlib.suppress(OSError):
            while content := server.recv(65536):
                own[-1].num_received += len(content)
                client.sendall(content)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()


@contextlib.contextmanager
def counting(server: str) -> Iterator[Counter]:
    """A counter before a server while the body runs."""
    counter = Counter(server)
    threading.Thread(target=counter.serve, daemon=True).start()
    try:
        yield counter
    finally:
        counter.close()
