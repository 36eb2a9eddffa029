"""img2dataset with a guard at its door: only pictures from the open Internet, at bounded cost.

img2dataset 1.47 fetches any URL that urllib can open, `file:` and addresses of our own network among them,
and decodes whatever comes. Inside `guarded`, its workers fetch with `infra.safe_fetch`, look at a picture's
header before a decoder sees it, and decode in another process (`components.decoder`). A picture is stored
encoded anew, so what else a file holds (a script, an archive, a comment) ends here.

Each refusal is a message that starts with its reason; `infra.crawl_reasons` knows them all.
"""

import contextlib
import functools
import importlib
import io
import os
import re
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError

# Albumentations, which img2dataset imports, would ask a server for its newest version in each process.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from infra.lean_import import without

# Nor do they and webdataset need torch for what is used of them.
with without("torch"):
    import albumentations  # noqa: F401
    import webdataset  # noqa: F401

from img2dataset import downloader

from components import worker_pool
from components.byte_budget import ByteBudget, HeldBody
from components.decoder import IsolatedResizer
from components.outages import OutageLimits
from components.picture_header import MAX_JPEG_PASSES, count_passes, read_size
from components.reduced_decoding import Output
from infra.crawl_reasons import PASSING_REASONS, reason_of
from infra.safe_fetch import MAX_DETAIL_CHARS, Allowance, FetchLimits, Refusal, Resolver, opened, read_body

# The package has a function of this name, so that `import` finds no module.
main = importlib.import_module("img2dataset.main")
main.multiprocessing_distributor = worker_pool.distribute
WRITE_STATS = downloader.write_stats

USER_AGENT = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:72.0) Gecko/20100101 Firefox/72.0"
OPTED_OUT = "Use of image disallowed by X-Robots-Tag directive"
# The end of a message.
PAUSE_WANTED = re.compile(r" \(retry after (\d+) s\)$")
# Bodies that wait for the decoder, in one process; img2dataset's own bound is two for each of its threads.
MAX_QUEUE_BYTES = 512_000_000
LOST = f"worker_killed: {worker_pool.MAX_LOSSES} workers died in this shard"
OPENCV_MAX_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"


def check_picture(body: bytes, max_pixels: int) -> None:
    """Looks at the header only; nothing is decoded.

    Raises:
        Refusal: not_an_image, or too_many_pixels (at once, or one after another in passes without end).
    """
    size = read_size(body)
    if size is None:
        raise Refusal("not_an_image", "neither JPEG, PNG, WEBP, GIF nor BMP")
    width, height = size
    if width * height > max_pixels:
        raise Refusal("too_many_pixels", f"{width} x {height}, more than {max_pixels}")
    if (passes := count_passes(body)) > MAX_JPEG_PASSES:
        raise Refusal("too_many_pixels", f"{passes} passes over them, more than {MAX_JPEG_PASSES}")


def download_picture(
    limits: FetchLimits,
    max_pixels: int,
    row: tuple[int, str],
    timeout: float,
    retries: int,
    user_agent_token: str | None,
    disallowed_header_directives: set[str] | None,
    resolve: Resolver = socket.getaddrinfo,
    budget: ByteBudget | None = None,
) -> tuple[int, io.BytesIO | None, str | None]:
    """In place of img2dataset's `download_image_with_retry`: (key, picture, None) or (key, None, message).

    What may pass with time is tried again at once, all within one allowance, unless the host asks for a
    pause; the rest is final. `timeout` is in seconds. A picture's bytes are the budget's until it is closed.
    """
    key, url = row
    budget = budget or ByteBudget(limits.max_bytes)
    headers = {"User-Agent": _user_agent(user_agent_token)}
    allowance, message = Allowance(limits, timeout), None
    for _ in range(retries + 1):
        try:
            with opened(url, headers, allowance, resolve) as response:
                if disallowed_header_directives and downloader.is_disallowed(
                    response.headers, user_agent_token, disallowed_header_directives
                ):
                    return key, None, OPTED_OUT
                return key, _read_picture(response, allowance, max_pixels, budget), None
        except HTTPError as error:
            message = str(error)[:MAX_DETAIL_CHARS] + _pause_wanted(error)
        except Exception as error:  # whatever it is, it is this row's and not the shard's
            message = (str(error) or type(error).__name__)[:MAX_DETAIL_CHARS]
        if reason_of(message) not in PASSING_REASONS or PAUSE_WANTED.search(message):
            break
    return key, None, message


def _read_picture(
    response: HTTPResponse, allowance: Allowance, max_pixels: int, budget: ByteBudget
) -> HeldBody:
    """The body, checked. Waiting for the budget costs the URL no time."""
    limits = allowance.limits
    taken = limits.max_bytes if response.length is None else min(response.length, limits.max_bytes)
    allowance.deadline += budget.take(taken)
    try:
        body = read_body(response, limits)
        check_picture(body, max_pixels)
    except BaseException:
        budget.give(taken)
        raise
    budget.give(taken - len(body))
    return HeldBody(body, budget)


def _pause_wanted(error: HTTPError) -> str:
    """What a message says of Retry-After in seconds; its other form, a date, is rare and left out."""
    seconds = (error.headers.get("Retry-After") or "").strip()
    return f" (retry after {int(seconds)} s)" if re.fullmatch(r"[0-9]{1,6}", seconds) else ""


def _user_agent(token: str | None) -> str:
    """img2dataset's."""
    suffix = f" (compatible; {token}; +https://github.com/rom1504/img2dataset)" if token else ""
    return USER_AGENT + suffix


class GuardedDownloader(downloader.Downloader):
    """img2dataset's worker for a shard, with our way to fetch; it is pickled into worker processes."""

    def __init__(self, limits: FetchLimits, max_pixels: int, outages: OutageLimits, **settings: Any):
        theirs = settings["resizer"]
        output = Output(theirs.image_size, theirs.encode_format, theirs.encode_params[1])
        super().__init__(**settings | {"resizer": IsolatedResizer(output)})
        self.limits = limits
        self.max_pixels = max_pixels
        self.outages = outages

    def __call__(self, row: tuple) -> tuple[bool, tuple]:
        """Download one shard."""
        budget = ByteBudget(max(MAX_QUEUE_BYTES, self.limits.max_bytes))
        fetch = functools.partial(download_picture, self.limits, self.max_pixels, budget=budget)
        with (
            replaced(downloader, "download_image_with_retry", fetch),
            replaced(downloader, "write_stats", self._write_stats),
        ):
            return super().__call__(row)

    def download_shard(self, row: tuple) -> None:
        """Download one shard; raises what keeps it from being finished."""
        self.outages.waited_out(lambda: super(GuardedDownloader, self).download_shard(row), row[0])

    def _write_stats(self, *arguments: Any) -> None:
        """In place of img2dataset's, whose file says that a shard is finished."""
        # folder, number, count, successes, failed to download, failed to resize, start, end, counts, digits
        self.outages.check(arguments[8].dump(), arguments[2])
        WRITE_STATS(*arguments)

    def set_aside(self, row: tuple) -> tuple[bool, tuple]:
        """Write the records of a shard that nobody could download."""
        with replaced(downloader, "download_image_with_retry", lambda row, **_: (row[0], None, LOST)):
            return super().__call__(row)


@contextlib.contextmanager
def guarded(limits: FetchLimits, max_pixels: int, outages: OutageLimits) -> Iterator[None]:
    """While this is open, img2dataset's `download` fetches within the limits, whatever its distributor.

    Worker processes started here also have OpenCV refuse larger pictures, should its reading of a header
    differ from ours.
    """
    ours = functools.partial(GuardedDownloader, limits, max_pixels, outages)
    with replaced(main, "Downloader", ours), _environment(worker_environment(max_pixels)):
        yield


def worker_environment(max_pixels: int) -> dict[str, str]:
    """What workers need in their environment; those of a cluster get it from its session."""
    return {OPENCV_MAX_PIXELS: str(max_pixels)}


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute has another value while this is open."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started while this is open."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
