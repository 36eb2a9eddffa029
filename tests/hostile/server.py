"""A server on loopback that answers with any bytes, whole or broken, and then hangs up."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Sequence


class _Server(socketserver.ThreadingTCPServer):
    """One that says nothing of clients that go away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address) -> None:
        pass


@contextlib.contextmanager
def answering(answers: Sequence[bytes]) -> Iterator[int]:
    """The port of a server that answers a path `/NUMBER` with `answers[NUMBER]`, any other with nothing."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            number = self.rfile.readline(1_000).partition(b" /")[2].split(b" ")[0]
            while self.rfile.readline(10_000).strip():
                pass  # a header
            if number.isdigit() and int(number) < len(answers):
                self.wfile.write(answers[int(number)])

    with _Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
