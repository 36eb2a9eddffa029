"""A hostile server on loopback: what it answers becomes a counted reason, and pictures still arrive."""

import functools
import io
import itertools
import json
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.crawl_guard import download_picture, guarded, main
from components.download_pairs import DownloadPairs, crawl
from components.outages import OutageLimits
from components.step import StepError
from components.url_lists import UrlList
from infra import crawl_reasons, safe_fetch
from infra.safe_fetch import FetchLimits
from pipelines.recipes import RECIPES

PUBLIC = "93.184.216.34"
SCRIPT = b"<script>alert(1)</script>"
MAX_PIXELS = 1_000_000
LIMITS = FetchLimits(max_bytes=300_000, max_redirects=3, max_seconds=1.5, allow_private_addresses=True)


def encode(kind: str, size: tuple[int, int] = (40, 30), **options) -> bytes:
    """A picture of one colour as a file."""
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, kind, **options)
    return stream.getvalue()


def zip_file() -> bytes:
    """An archive with a script in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("run.sh", SCRIPT)
    return stream.getvalue()


def with_passes(number: int) -> bytes:
    """A progressive JPEG whose last pass comes again and again."""
    picture = encode("JPEG", progressive=True)
    last = picture[picture.rindex(b"\xff\xda") : -2]
    return picture[:-2] + last * number + picture[-2:]


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small file whose header claims a size; a decoder would allocate for it."""
    picture = bytearray(encode(kind))
    if kind == "PNG":
        picture[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    else:
        frame = picture.index(b"\xff\xc0")
        picture[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(picture)


JPEG = encode("JPEG")
# Path: (body, further headers)
FILES = {
    "/good.jpg": (JPEG, {}),
    "/good.png": (encode("PNG"), {}),
    "/good.webp": (encode("WEBP"), {}),
    "/good.gif": (encode("GIF"), {}),
    "/good.bmp": (encode("BMP"), {}),
    "/progressive.jpg": (encode("JPEG", progressive=True), {}),
    "/%E7%8C%AB.jpg": (JPEG, {}),
    "/archive.jpg": (JPEG + zip_file(), {}),
    "/script.jpg": (JPEG + SCRIPT, {}),
    "/comment.jpg": (encode("JPEG", comment=SCRIPT), {}),
    "/page.jpg": (b"<html>" + SCRIPT + b"This picture has moved.</html>", {}),
    "/script.svg": (b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>", {}),
    "/archive.png": (zip_file(), {}),
    "/empty.jpg": (b"", {}),
    "/bomb.png": (encode("PNG", (1001, 1000)), {}),
    "/claim.png": (claiming("PNG", 2**31 - 1, 2**31 - 1), {}),
    "/claim.jpg": (claiming("JPEG", 65_500, 65_500), {}),
    "/passes.jpg": (with_passes(600), {}),
    "/large.bmp": (encode("BMP", (400, 300)), {}),
    "/opted-out.jpg": (JPEG, {"X-Robots-Tag": "noai"}),
    "/for-others.jpg": (JPEG, {"X-Robots-Tag": "otherbot: noai"}),
    "/busy.jpg": (b"", {"Retry-After": "7"}),
    "/packed.jpg": (b"\x1f\x8b" + bytes(100), {"Content-Encoding": "gzip"}),
}
STATUSES = {
    "/gone.jpg": "404 Not Found",
    "/broken.jpg": "500 forbidden_address: not so",
    "/busy.jpg": "429 Too Many Requests",
}
REDIRECTS = {
    "/to-good": "/good.jpg",
    "/to-file": "file:///etc/passwd",
    "/to-ftp": "ftp://localhost/good.jpg",
    "/to-data": "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    "/to-metadata": "http://169.254.169.254/latest/meta-data/",
    "/to-credentials": "http://user:word@localhost/good.jpg",
    "/to-bracket": "http://[::1/good.jpg",
    "/loop": "/loop",
    **{f"/hop{number}": f"/hop{number - 1}" for number in range(1, 5)},
    "/hop0": "/good.jpg",
}


def endless(send: Callable[[bytes], None]) -> None:
    """Zeros for ever, no length announced."""
    send(b"HTTP/1.1 200 OK\r\n\r\n" + JPEG)
    while True:
        send(bytes(65_536))


def endless_redirect(send: Callable[[bytes], None]) -> None:
    """A redirect whose own body never ends; nobody needs to read it."""
    send(b"HTTP/1.1 302 Found\r\nLocation: /good.jpg\r\n\r\n")
    while True:
        send(bytes(65_536))


def endless_headers(send: Callable[[bytes], None]) -> None:
    """Interim answers for ever."""
    while True:
        send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)


def huge_chunk(send: Callable[[bytes], None]) -> None:
    """A chunk that announces more than there is memory for."""
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")
    while True:
        send(bytes(65_536))


def drip(head: bytes) -> Callable[[Callable[[bytes], None]], None]:
    """A byte every tenth of a second, after `head`."""

    def answer(send: Callable[[bytes], None]) -> None:
        send(head)
        for _ in range(60):
            send(b"a")
            time.sleep(0.1)

    return answer


def silent(send: Callable[[bytes], None]) -> None:
    """Nothing at all for a while."""
    time.sleep(3)


def telling(answer: bytes) -> Callable[[Callable[[bytes], None]], None]:
    """These bytes, then the end."""
    return lambda send: send(answer)


STREAMS = {
    "/endless.jpg": endless,
    "/endless-redirect": endless_redirect,
    "/endless-headers.jpg": endless_headers,
    "/huge-chunk.jpg": huge_chunk,
    "/lying.jpg": telling(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n" + JPEG),
    "/cut.jpg": telling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + JPEG),
    "/drip.jpg": drip(b"HTTP/1.1 200 OK\r\n\r\n"),
    "/drip-headers.jpg": drip(b"HTTP/1.1 200 OK\r\nX-Long: "),
    "/silent.jpg": silent,
    "/noise.jpg": telling(b"\0\xff\0\xff\r\n\r\n"),
}


class Hostile(BaseHTTPRequestHandler):
    """Answers by path; counts who asked for what."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        try:
            self.answer()
        except OSError:
            self.close_connection = True

    def answer(self) -> None:
        if self.path in STREAMS:
            STREAMS[self.path](self.wfile.write)
            return
        body, headers = FILES.get(self.path, (b"", {}))
        status = STATUSES.get(self.path, "302 Found" if self.path in REDIRECTS else "200 OK")
        if self.path in REDIRECTS:
            headers = {"Location": REDIRECTS[self.path]}
        lines = [f"{name}: {value}\r\n" for name, value in {**headers, "Content-Length": len(body)}.items()]
        self.wfile.write(f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body)

    def log_message(self, *arguments) -> None:
        pass


class Server(ThreadingHTTPServer):
    """One that says nothing of clients that go away."""

    def handle_error(self, request, client_address) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The hostile server's, on loopback."""
    server = Server(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def reason_of(message: str | None) -> str | None:
    """What the funnel counts a message as."""
    return message and crawl_reasons.reason_of(message)


def download(url: str, limits: FetchLimits = LIMITS, retries: int = 0, timeout: float = 1.0, **options):
    """(body or None, message or None) of one URL."""
    fetch = functools.partial(download_picture, limits, MAX_PIXELS, **options)
    key, picture, message = fetch((7, url), timeout, retries, None, {"noai", "noimageai"})
    assert key == 7
    return picture and picture.read(), message


@pytest.mark.parametrize(
    "address, public",
    [
        ("93.184.216.34", True),
        ("8.8.8.8", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.192", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("203.0.113.9", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("2001:4860:4860::8888", True),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::808:808", False),
        ("2002:7f00:1::1", False),
        ("2002:808:808::1", True),
        ("2001:0:808:808::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%lo", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_an_address_is_public_or_not(address, public):
    assert safe_fetch.is_public(address) == public


STRICT = replace(LIMITS, allow_private_addresses=False)


def strict(port: int) -> FetchLimits:
    """Limits of a recipe that lists the port of the tests' server."""
    return replace(STRICT, allowed_ports=(port,))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "１２７.０.０.１",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ],
)
def test_no_spelling_of_an_address_of_ours_is_asked(port, host):
    Hostile.asked.clear()
    body, message = download(f"http://{host}:{port}/good.jpg", strict(port))
    assert (body, reason_of(message), Hostile.asked) == (None, "forbidden_address", [])


@pytest.mark.parametrize(
    "url, reason",
    [
        ("file:///etc/passwd", "forbidden_scheme"),
        ("ftp://example.org/cat.jpg", "forbidden_scheme"),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "forbidden_scheme"),
        ("gopher://example.org/", "forbidden_scheme"),
        ("javascript:alert(1)", "forbidden_scheme"),
        ("cat.jpg", "forbidden_scheme"),
        ("//example.org/cat.jpg", "forbidden_scheme"),
        ("", "forbidden_scheme"),
        ("http://", "bad_url"),
        ("http:///cat.jpg", "bad_url"),
        ("http://[::1/cat.jpg", "bad_url"),
        ("http://example.org:99999/", "bad_url"),
        ("http://example.org:port/", "bad_url"),
        (f"http://{'a' * 64}.org/", "bad_url"),
        ("http://user:word@example.org/", "forbidden_address"),
        ("http://@example.org/", "forbidden_address"),
        ("http://example.org\\@127.0.0.1/", "forbidden_address"),
    ],
)
def test_a_url_is_refused_before_anything_is_sent(url, reason):
    body, message = download(url, STRICT)
    assert (body, reason_of(message)) == (None, reason)


def answers(*addresses: str, port: int) -> list[tuple]:
    """What `socket.getaddrinfo` gives for a name with these addresses."""
    kinds = {True: socket.AF_INET6, False: socket.AF_INET}
    return [(kinds[":" in item], socket.SOCK_STREAM, 6, "", (item, port)) for item in addresses]


def test_a_name_with_one_address_of_ours_is_refused():
    resolve = lambda host, port, type: answers(PUBLIC, "10.0.0.1", port=port)  # noqa: E731
    body, message = download("http://two.test/good.jpg", STRICT, resolve=resolve)
    assert (body, message) == (None, "forbidden_address: two.test is 10.0.0.1")


class Rebinding:
    """A name that is public when it is first asked for and loopback from then on."""

    def __init__(self):
        self.num_asked = 0

    def __call__(self, host: str, port: int, type: int) -> list[tuple]:
        self.num_asked += 1
        return answers(PUBLIC if self.num_asked == 1 else "127.0.0.1", port=port)


@pytest.fixture
def dialled(monkeypatch) -> list[tuple]:
    """Where connections went; public ones end at loopback instead, so that a test needs no Internet."""
    places, real = [], safe_fetch._dial_one

    def dial(place, allowance):
        places.append(place[-1])
        return real((*place[:-1], ("127.0.0.1", place[-1][1])), allowance)

    monkeypatch.setattr(safe_fetch, "_dial_one", dial)
    return places


def test_the_connection_goes_to_the_address_that_was_checked(port, dialled):
    resolve = Rebinding()
    body, message = download(f"http://rebind.test:{port}/good.jpg", strict(port), resolve=resolve)
    assert (body, message) == (JPEG, None)
    assert (resolve.num_asked, dialled) == (1, [(PUBLIC, port)])


def test_a_name_that_changes_its_mind_between_redirects_is_refused(port, dialled):
    body, message = download(f"http://rebind.test:{port}/to-good", strict(port), resolve=Rebinding())
    assert (body, message) == (None, "forbidden_address: rebind.test is 127.0.0.1")
    assert dialled == [(PUBLIC, port)]


@pytest.mark.parametrize(
    "path, reason",
    [
        ("/to-good", None),
        ("/to-metadata", "forbidden_address"),
        ("/to-credentials", "forbidden_address"),
        ("/to-file", "forbidden_scheme"),
        ("/to-ftp", "forbidden_scheme"),
        ("/to-data", "forbidden_scheme"),
        ("/to-bracket", "bad_url"),
    ],
)
def test_each_redirect_is_checked_like_the_first_url(port, dialled, path, reason):
    def resolve(host, port, type):
        return answers(PUBLIC if host == "public.test" else host, port=port)

    _, message = download(f"http://public.test:{port}{path}", strict(port), resolve=resolve)
    assert reason_of(message) == reason, message
    assert {address for address, _ in dialled} == {PUBLIC}


REASONS = {
    "/good.jpg": None,
    "/good.png": None,
    "/good.webp": None,
    "/good.gif": None,
    "/good.bmp": None,
    "/progressive.jpg": None,
    "/猫.jpg": None,
    "/archive.jpg": None,
    "/script.jpg": None,
    "/comment.jpg": None,
    "/for-others.jpg": None,
    "/to-good": None,
    "/hop2": None,
    "/endless-redirect": None,
    "/hop3": "too_many_redirects",
    "/loop": "too_many_redirects",
    "/to-file": "forbidden_scheme",
    "/endless.jpg": "too_many_bytes",
    "/endless-headers.jpg": "too_many_bytes",
    "/huge-chunk.jpg": "too_many_bytes",
    "/lying.jpg": "too_many_bytes",
    "/large.bmp": "too_many_bytes",
    "/drip.jpg": "too_slow",
    "/drip-headers.jpg": "too_slow",
    "/silent.jpg": "timed_out",
    "/bomb.png": "too_many_pixels",
    "/claim.png": "too_many_pixels",
    "/claim.jpg": "too_many_pixels",
    "/passes.jpg": "too_many_pixels",
    "/page.jpg": "not_an_image",
    "/script.svg": "not_an_image",
    "/archive.png": "not_an_image",
    "/empty.jpg": "not_an_image",
    "/packed.jpg": "not_an_image",
    "/opted-out.jpg": "opted_out",
    "/gone.jpg": "http_error",
    "/busy.jpg": "too_many_requests",
    "/broken.jpg": "server_error",
    "/cut.jpg": "connection_lost",
    "/noise.jpg": "download_failed",
}
GOOD = [path for path, reason in REASONS.items() if reason is None]


@pytest.mark.parametrize("path, reason", REASONS.items())
def test_each_answer_has_its_reason(port, path, reason):
    start = time.monotonic()
    body, message = download(f"http://127.0.0.1:{port}{path}")
    assert reason_of(message) == reason, message
    assert (body is None) == (reason is not None)
    assert time.monotonic() - start < LIMITS.max_seconds + 2


OPENCV = "import sys, cv2, numpy; cv2.imdecode(numpy.frombuffer(sys.stdin.buffer.read(), 'uint8'), -1)"


@pytest.mark.parametrize("height, reason", [(1000, None), (1001, "too_many_pixels")])
def test_a_worker_has_opencv_refuse_too_many_pixels_by_itself(height, reason):
    """Should a file mean one size to us and another to OpenCV."""
    with guarded(LIMITS, MAX_PIXELS, OutageLimits(1.0, 0.0)):
        worker = [sys.executable, "-c", OPENCV]
        done = subprocess.run(worker, input=encode("PNG", (1000, height)), capture_output=True)
    assert reason_of(done.stderr.decode() or None) == reason


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_no_recipe_reaches_private_addresses(name):
    """The demo's own server is let in by the step that runs it (tests/components/test_demo_site.py)."""
    crawl = RECIPES[name]().download_pairs
    assert (crawl.allow_private_addresses, crawl.allowed_private_hosts) == (False, ())


@pytest.mark.parametrize(
    "url, reason",
    [
        ("http://127.0.0.1:{port}/good.jpg", None),
        ("http://127.0.0.1:{other}/good.jpg", "forbidden_address"),
        ("http://localhost:{port}/good.jpg", "forbidden_address"),
        ("http://127.1:{port}/good.jpg", "forbidden_address"),
        ("http://[::ffff:127.0.0.1]:{port}/good.jpg", "forbidden_address"),
        ("http://127.0.0.1:{port}/to-metadata", "forbidden_address"),
        ("http://192.168.0.1:{port}/good.jpg", "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data", "forbidden_address"),
    ],
)
def test_one_host_and_port_may_be_let_in_alone(port, url, reason):
    limits = replace(strict(port), allowed_private_hosts=(f"127.0.0.1:{port}",))
    _, message = download(url.format(port=port, other=port + 1), limits)
    assert reason_of(message) == reason


def public(host, port, type) -> list[tuple]:
    """A resolver that has one address for all."""
    return answers(PUBLIC, port=port)


@pytest.fixture
def silent(monkeypatch) -> None:
    """Nobody takes a connection."""
    monkeypatch.setattr(safe_fetch, "_dial", Mock(side_effect=TimeoutError("timed out")))


@pytest.mark.parametrize("ports, reason", [((), "forbidden_port"), ((6379,), "timed_out")])
def test_ports_of_the_recipe_alone_are_dialled_beside_the_usual(silent, ports, reason):
    limits = replace(STRICT, allowed_ports=ports)
    _, message = download("http://a.test:6379/1.jpg", limits, resolve=public)
    assert reason_of(message) == reason


def test_two_names_of_one_address_are_one_host_and_so_are_two_addresses_of_a_name(silent, monkeypatch):
    asked = []
    monkeypatch.setattr(safe_fetch.Allowance, "wait_for_turn", lambda _, names: asked.append(names))
    for name in ("a.test", "b.test"):
        download(f"http://{name}/1.jpg", STRICT, resolve=public)
    assert asked == [{"a.test", PUBLIC}, {"b.test", PUBLIC}]


@pytest.mark.parametrize("host", ["127.0.0.1", "http://127.0.0.1:80", "user@host:80", "host:port", ""])
def test_a_host_that_is_let_in_has_a_port(host):
    with pytest.raises(ValueError, match="allowed_private_hosts are written"):
        DownloadPairs((), allowed_private_hosts=(host,))


def test_a_port_where_nobody_listens_gives_no_answer():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        _, message = download(f"http://127.0.0.1:{free.getsockname()[1]}/good.jpg")
    assert reason_of(message) == "no_answer"


def test_only_a_failure_that_may_pass_is_tried_again_and_not_against_the_hosts_wish(port):
    Hostile.asked.clear()
    for path in ("/page.jpg", "/opted-out.jpg", "/gone.jpg", "/busy.jpg", "/broken.jpg"):
        download(f"http://127.0.0.1:{port}{path}", retries=1)
    assert Hostile.asked == [
        "/page.jpg",
        "/opted-out.jpg",
        "/gone.jpg",
        "/busy.jpg",
        "/broken.jpg",
        "/broken.jpg",
    ]


def test_a_host_that_asks_for_a_pause_is_quoted(port):
    _, message = download(f"http://127.0.0.1:{port}/busy.jpg")
    assert message == "HTTP Error 429: Too Many Requests (retry after 7 s)"


def test_retries_share_the_seconds_of_one_image(port):
    start = time.monotonic()
    _, message = download(f"http://127.0.0.1:{port}/silent.jpg", retries=9)
    assert reason_of(message) == "too_slow"
    assert time.monotonic() - start < LIMITS.max_seconds + 2


@pytest.fixture(scope="module")
def tls_port(tmp_path_factory) -> Iterator[int]:
    """The hostile server's inside TLS, with a certificate for good.test that is trusted."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=good.test"
    names = ["-addext", "subjectAltName=DNS:good.test", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{file}.crt", file)
    server = Server(("127.0.0.1", 0), Hostile)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    safe_fetch._tls_context.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", f"{file}.crt")
        safe_fetch._tls_context()
    yield server.server_address[1]
    safe_fetch._tls_context.cache_clear()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "host, path, reason",
    [
        ("good.test", "/good.jpg", None),
        ("good.test", "/endless.jpg", "too_many_bytes"),
        ("good.test", "/drip.jpg", "too_slow"),
        ("other.test", "/good.jpg", "bad_certificate"),
        ("127.0.0.1", "/good.jpg", "bad_certificate"),
    ],
)
def test_inside_tls_the_name_is_verified_and_limits_hold(tls_port, host, path, reason):
    resolve = lambda host, port, type: answers("127.0.0.1", port=port)  # noqa: E731
    _, message = download(f"https://{host}:{tls_port}{path}", resolve=resolve)
    assert reason_of(message) == reason, message


def write_list(file: Path, urls: list[str]) -> UrlList:
    """A list with a caption a URL."""
    captions = [f"caption {number}" for number in range(len(urls))]
    pd.DataFrame({"url": urls, "caption": captions}).to_csv(file, index=False)
    return UrlList(str(file), "en")


@pytest.fixture(scope="module")
def crawled(spark, port, tmp_path_factory) -> tuple[Path, dict, dict]:
    """(shards, facts, row by URL without the site) of one real crawl of everything the server has."""
    place = tmp_path_factory.mktemp("crawled")
    site = f"http://127.0.0.1:{port}"
    urls = [*(f"{site}{path}" for path in REASONS), "file:///etc/passwd"]
    config = DownloadPairs(
        lists=(write_list(place / "list.csv", urls),),
        num_processes=1,
        num_threads=16,
        timeout_seconds=2,
        retries=0,
        max_bytes=LIMITS.max_bytes,
        max_pixels=MAX_PIXELS,
        max_redirects=LIMITS.max_redirects,
        max_seconds_per_image=4.0,
        allow_private_addresses=True,
    )
    facts = crawl(config, place, {"spark_master": "local[2]"})
    rows = pd.read_parquet(place / "shards" / "00000.parquet").replace({np.nan: None}).to_dict("records")
    return place / "shards", facts, {row["url"].removeprefix(site): row for row in rows}


def test_a_crawl_leaves_a_row_with_a_reason_for_each_bad_url(crawled):
    _, facts, rows = crawled
    assert {url: reason_of(row["error_message"]) for url, row in rows.items()} == REASONS
    assert (facts["crawl"]["urls"], facts["crawl"]["downloaded"]) == (len(REASONS), len(GOOD))
    assert facts["dropped"] == {"bad_url": 1}


def read_pictures(shard: Path) -> dict[str, bytes]:
    """The stored file of each picture in a shard by its URL's path."""
    with tarfile.open(shard) as tar:
        names = [name[:-5] for name in tar.getnames() if name.endswith(".json")]
        urls = [json.load(tar.extractfile(f"{name}.json"))["url"] for name in names]
        files = [tar.extractfile(f"{name}.jpg").read() for name in names]
    return {"/" + url.split("/", 3)[3]: file for url, file in zip(urls, files, strict=True)}


def test_good_pictures_arrive_and_what_else_a_file_held_does_not(crawled):
    shards, _, _ = crawled
    pictures = read_pictures(shards / "00000.tar")
    assert set(pictures) == set(GOOD)
    for content, planted in itertools.product(pictures.values(), (SCRIPT, b"PK\x03\x04", b"run.sh")):
        assert planted not in content
    assert {Image.open(io.BytesIO(content)).size for content in pictures.values()} == {(40, 30)}


def in_this_process(processes_count, downloader, shards, *_) -> None:
    """A distributor for img2dataset; starting a worker takes seconds."""
    assert all(downloader(shard)[0] for shard in shards)


def test_without_permission_a_crawl_asks_nothing_of_loopback(spark, port, tmp_path, monkeypatch):
    monkeypatch.setattr(main, "multiprocessing_distributor", in_this_process)
    Hostile.asked.clear()
    source = write_list(tmp_path / "list.csv", [f"http://127.0.0.1:{port}/good.jpg", f"http://[::1]:{port}/"])
    with pytest.raises(StepError, match=r"none of the URLs gave an image.*forbidden_address"):
        crawl(
            DownloadPairs((source,), num_processes=1, num_threads=2), tmp_path, {"spark_master": "local[2]"}
        )
    assert not Hostile.asked
    messages = pd.read_parquet(tmp_path / "shards" / "00000.parquet")["error_message"]
    assert {reason_of(message) for message in messages} == {"forbidden_address"}
