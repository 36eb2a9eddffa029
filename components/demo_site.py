"""The demo corpus' images on the loopback of the step that crawls them, for as long as it does.

The crawl refuses private addresses. It may ask this one host and port while the images are served and the
lists are the corpus' own, byte for byte: a list that somebody else wrote opens nothing.
"""

import contextlib
import functools
import tempfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.step import StepError, build
from infra.console import say
from infra.store import plain

if TYPE_CHECKING:
    from components.url_lists import UrlList


@contextlib.contextmanager
def demo_site(corpus: dict | None, lists: tuple["UrlList", ...]) -> Iterator[tuple[str, ...]]:
    """Serve the images that the corpus' lists name; gives the HOST:PORT that may be asked, or nothing.

    Args:
        corpus: the values of a `pipelines.demo.DemoCorpus`.

    Raises:
        StepError: the port is taken.
    """
    if corpus is None:
        yield ()
        return
    from pipelines.demo import HOST, DemoCorpus, load_emoji, split_concepts, write_lists

    wanted = build(DemoCorpus, plain(corpus))
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        write_lists(wanted, split_concepts(load_emoji(), wanted)[0], Path(scratch))
        if not are_those_of(Path(scratch), lists):
            say("download_pairs", f"the lists are not the demo's own: nothing is served, {HOST} stays shut")
            yield ()
            return
        yield (f"{HOST}:{stack.enter_context(serve_folder(Path(scratch), wanted.port))}",)


def are_those_of(folder: Path, lists: tuple["UrlList", ...]) -> bool:
    """Whether each list is one of the folder's, by content."""
    there = {path.read_bytes() for path in folder.glob("*.csv")}
    return all(Path(each.path).is_file() and Path(each.path).read_bytes() in there for each in lists)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _ImageServer(ThreadingHTTPServer):
    """One whose queue holds all the connections that a crawl opens at once.

    With the usual five the kernel drops the others, which come again after 1, 3 and 7 seconds: on a busy
    machine past the crawl's timeout.
    """

    request_queue_size = 256


@contextlib.contextmanager
def serve_folder(folder: Path, port: int) -> Iterator[int]:
    """Serve a folder over HTTP on loopback; gives the port.

    Raises:
        StepError: the port is taken.
    """
    handler = functools.partial(_QuietHandler, directory=str(folder))
    try:
        server = _ImageServer(("127.0.0.1", port), handler)
    except OverflowError:
        raise StepError(f"there is no port {port}, they end at 65535: --set corpus.port=8765") from None
    except OSError:
        raise StepError(
            f"port {port} on 127.0.0.1 is in use, and the demo's pictures are served there; "
            f"free it or choose another: --set corpus.port={port + 1}"
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
