"""Broken HTTP answers and odd URLs: an image or a reason in bounded time, no address of our own dialled."""

import contextlib
import functools
import ipaddress
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.crawl_guard import download_picture
from infra import safe_fetch
from infra.crawl_reasons import reason_of
from infra.safe_fetch import FetchLimits
from tests.hostile import number, within
from tests.hostile.fuzz import broken
from tests.hostile.server import answering
from tests.odd_images import PLAIN

MAX_PIXELS = 1_000_000
LIMITS = FetchLimits(max_bytes=100_000, max_redirects=3, max_seconds=2.0, allow_private_addresses=False)
JPEG = PLAIN["rgb JPEG"][0]
LENGTH = b"Content-Length: %d\r\n\r\n" % len(JPEG)
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(JPEG), JPEG)
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n" + LENGTH + JPEG,
    b"HTTP/1.1 200 OK\r\n" + CHUNKS,
    b"HTTP/1.0 200 OK\r\n\r\n" + JPEG,
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-Robots-Tag: noai\r\n"
    + LENGTH
    + JPEG,
    b"HTTP/1.1 302 Found\r\nLocation: /0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: //[::ffff:127.0.0.1]:22/0\r\n\r\n",
    b"HTTP/1.1 307 Again\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n",
]
# Spellings of addresses that are not public, and what they are put together with.
PRIVATE = (
    *("127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "0", "localhost", "metadata"),
    *("169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "224.0.0.1"),
    *(
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "[fe80::1%25lo]",
        "[fd00::1]",
    ),
)
PIECES = (
    "@",
    "#",
    "?",
    "/",
    "\\",
    ":",
    "%2f",
    "%00",
    "%40",
    ".",
    "。",
    "\t",
    "\n",
    " ",
    "①",
    "[",
    "]",
    "\u202e",
    "//",
)
PUBLIC = ("93.184.216.34", "example.com", "[2606:2800:220:1::]")


def fetched(url: str, limits: FetchLimits, resolve) -> str:
    """The reason, or `stored`."""
    start = time.monotonic()
    fetch = functools.partial(download_picture, limits, MAX_PIXELS, resolve=resolve)
    _, picture, message = fetch((0, url), 1.0, 0, None, {"noai", "noimageai"})
    assert time.monotonic() - start < limits.max_seconds + 10
    assert (picture is None) != (message is None)
    if message:
        return reason_of(message)
    assert len(picture.getvalue()) <= limits.max_bytes
    return "stored"


def without_names(host: str, port: int, **options) -> list[tuple]:
    """Addresses as the system reads them; a stranger's name server says 10.0.0.1."""
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST, **options)
    address = "93.184.216.34" if host == "example.com" else "10.0.0.1"
    return socket.getaddrinfo(address, port, **options)


def test_a_broken_answer_is_an_image_or_a_reason():
    answers = ANSWERS + list(broken(ANSWERS, number(300, 20_000), seed=2))
    found = set()
    with answering(answers) as port:
        limits = replace(LIMITS, allowed_private_hosts=(f"127.0.0.1:{port}",))
        for each in within(number(4, 300), range(len(answers))):
            found.add(fetched(f"http://127.0.0.1:{port}/{each}", limits, without_names))
    assert {"stored", "not_an_image", "forbidden_address", "http_error", "opted_out"} <= found


def odd_urls(count: int, seed: int) -> Iterator[str]:
    """URLs that hold an address of our own network somewhere, and perhaps a public one."""
    rng = random.Random(seed)
    for _ in range(count):
        hosts = [rng.choice(PRIVATE), rng.choice(PIECES), rng.choice([*PUBLIC, *PRIVATE, ""])]
        rng.shuffle(hosts)
        scheme = rng.choice(("http://", "https://", "HTTP://", "http:", "//", "http:///", "http:\\\\"))
        yield (
            scheme + "".join(hosts) + rng.choice(("", ":80", ":443", ":", ":22")) + rng.choice(("", "/a.jpg"))
        )


@pytest.fixture
def dialled(monkeypatch) -> list[str]:
    """Addresses that a connection was to go to; none is made."""
    addresses: list[str] = []

    def refuse(place, allowance):
        addresses.append(place[4][0])
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(safe_fetch, "_dial_one", refuse)
    return addresses


def inside(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that one wrapped in IPv6 leads to."""
    plain = ipaddress.ip_address(address)
    if plain.version == 6:
        return plain.ipv4_mapped or plain.sixtofour or plain
    return plain


def test_no_spelling_of_a_url_dials_our_own_network(dialled):
    found = set()
    for url in within(number(3, 300), odd_urls(number(1_000, 200_000), seed=3)):
        found.add(fetched(url, LIMITS, without_names))
    assert {"forbidden_address", "no_answer", "bad_url"} <= found
    assert dialled and all(inside(address).is_global for address in dialled)
    assert not any(inside(address).is_private or inside(address).is_multicast for address in dialled)
