"""Answers to URLs that strangers wrote: nothing inside our network is reached, bytes and seconds are bounded.

A host is resolved once, every address found is checked, and the connection goes to a checked address, so
that a name cannot change its mind in between; each redirect is a new URL, checked like the first. Time and
bytes are counted where they leave the socket, so that headers, redirects and chunk sizes cannot hide any.

Left out on purpose: proxies of the environment, since a proxy resolves names by itself; cookies; contents
in a coding such as gzip, which we do not ask for and do not unpack; a bound on the time a name takes to
resolve, which is the system resolver's.
"""

import contextlib
import functools
import http.client
import io
import ipaddress
import socket
import ssl
import string
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.error import HTTPError, URLError

from infra.host_turns import machine_turns

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[..., list[tuple]]

DEFAULT_PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
PIECE_BYTES = 65_536
MAX_DETAIL_CHARS = 200

# Global unicast; the rest of IPv6 is local, reserved or a wrapped IPv4 address.
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
WRAPPED_IPV4 = {"::ffff:0:0/96": 0, "64:ff9b::/96": 0, "2002::/16": 80}  # bits after the IPv4 address
WRAPPERS = {ipaddress.ip_network(network): shift for network, shift in WRAPPED_IPV4.items()}
# What `is_global` of Python 3.11 lets through: protocol assignments (with Oracle's metadata, 192.0.0.192),
# 6to4 relays, Azure's metadata, and documentation.
ALSO_FORBIDDEN = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "3fff::/20")
]


class Refusal(Exception):
    """A URL or an answer that the limits forbid; the message is `reason: detail`, the reason one word."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}"[:MAX_DETAIL_CHARS])
        self.reason = reason


@dataclass(frozen=True)
class FetchLimits:
    """What one URL may cost, redirects and retries included; `max_bytes` counts headers too.

    `allowed_private_hosts` (HOST:PORT, as a URL has to spell them) may have addresses that are not public.
    Of the others the ports 80, 443 and `allowed_ports` are dialled. Requests to one host, which is a name or
    an address, are spaced unless `max_requests_per_second_per_host` is 0; the wait costs no time.
    """

    max_bytes: int
    max_redirects: int
    max_seconds: float
    allow_private_addresses: bool
    max_requests_per_second_per_host: float = 0.0
    allowed_private_hosts: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = ()

    def check_port(self, host: str, port: int) -> None:
        """Raises Refusal: forbidden_port, where no web server is expected."""
        if port not in (*DEFAULT_PORTS.values(), *self.allowed_ports) and not self.allows_private(host, port):
            raise Refusal("forbidden_port", f"{port}")

    def allows_private(self, host: str, port: int) -> bool:
        """Whether a host of a URL may have an address of our own network."""
        return self.allow_private_addresses or f"{host}:{port}" in self.allowed_private_hosts


class Allowance:
    """What is left to one URL of its bytes and seconds."""

    def __init__(self, limits: FetchLimits, timeout_seconds: float):
        self.limits = limits
        self.timeout_seconds = timeout_seconds
        self.deadline = time.monotonic() + limits.max_seconds
        self.num_bytes = 0

    def seconds_to_wait(self) -> float:
        """How long the next wait may take.

        Raises:
            Refusal: too_slow, the time is used up.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Refusal("too_slow", f"not done after {self.limits.max_seconds:g} seconds")
        return min(left, self.timeout_seconds)

    @contextlib.contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """For one operation on a socket: it ends in TimeoutError, or in too_slow if no time is left."""
        connection.settimeout(self.seconds_to_wait())
        try:
            yield
        except TimeoutError:
            self.seconds_to_wait()
            raise

    def wait_for_turn(self, names: set[str]) -> None:
        """Until the host of these names may be asked; a URL pays nothing for those that were before it."""
        if self.limits.max_requests_per_second_per_host:
            turns = machine_turns(self.limits.max_requests_per_second_per_host)
            self.deadline += sum(map(turns.wait, names))

    def spend_bytes(self, count: int) -> None:
        """Raises Refusal: too_many_bytes, with these there are more than allowed."""
        self.num_bytes += count
        if self.num_bytes > self.limits.max_bytes:
            raise Refusal("too_many_bytes", f"more than {self.limits.max_bytes}")


@functools.lru_cache(maxsize=4096)
def is_public(text: str) -> bool:
    """Whether an address is one of the open Internet: no loopback, private, link-local, multicast, metadata.

    An IPv4 address wrapped in IPv6 (mapped, NAT64, 6to4) is judged by itself.
    """
    address = _unwrap(ipaddress.ip_address(text))
    if address.version == 6 and address not in GLOBAL_IPV6:
        return False
    forbidden = any(address in network for network in ALSO_FORBIDDEN if network.version == address.version)
    return address.is_global and not address.is_multicast and not forbidden


def _unwrap(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address, or the address itself."""
    for network, shift in WRAPPERS.items():
        if address.version == 6 and address in network:
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def check_url(url: str, base: str = "") -> urllib.parse.SplitResult:
    """The parts of an http or https URL, perhaps relative to `base`.

    Raises:
        Refusal: forbidden_scheme, forbidden_address (it holds credentials) or bad_url.
    """
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(base, url))
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refusal("bad_url", str(error)) from error
    if parts.scheme not in DEFAULT_PORTS:
        raise Refusal("forbidden_scheme", parts.scheme or "none")
    if "@" in parts.netloc:
        raise Refusal("forbidden_address", "credentials in the URL")
    if not host:
        raise Refusal("bad_url", "no host")
    return parts


def find_addresses(host: str, port: int, allow_private: bool, resolve: Resolver) -> list[tuple]:
    """What `socket.getaddrinfo` finds, all of it checked.

    Raises:
        Refusal: forbidden_address, one of them is not public; bad_url, no name can look like that.
        URLError: the name is not known.
    """
    try:
        found = resolve(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise URLError(error) from error
    except UnicodeError as error:
        raise Refusal("bad_url", f"no host can be called {host}") from error
    for *_, (address, *_) in found:
        if not allow_private and not is_public(address):
            raise Refusal("forbidden_address", f"{host} is {address}")
    return found


def _dial(found: list[tuple], allowance: Allowance) -> socket.socket:
    """A connection to the first address that takes one; URLError when none does."""
    failure = OSError("no address")
    for place in found:
        try:
            return _dial_one(place, allowance)
        except OSError as error:
            failure = error
    raise URLError(failure)


def _dial_one(place: tuple, allowance: Allowance) -> socket.socket:
    """A connection to one of the places that `socket.getaddrinfo` found."""
    family, kind, protocol, _, address = place
    connection = socket.socket(family, kind, protocol)
    with _closed_on_failure(connection), allowance.waiting(connection):
        connection.connect(address)
    return connection


@contextlib.contextmanager
def _closed_on_failure(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Certificates and names are verified; made once, since it takes 20 ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _secure(connection: socket.socket, host: str, allowance: Allowance) -> ssl.SSLSocket:
    """The connection inside TLS; URLError when the certificate is not the host's."""
    with _closed_on_failure(connection):
        try:
            with allowance.waiting(connection):
                return _tls_context().wrap_socket(connection, server_hostname=host)
        except (OSError, ValueError) as error:
            raise URLError(error) from error


class _CountedReads(io.RawIOBase):
    """Bytes from a socket, each read within the allowance."""

    def __init__(self, connection: socket.socket, allowance: Allowance):
        self.connection = connection
        self.allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        with self.allowance.waiting(self.connection):
            count = self.connection.recv_into(buffer)
        self.allowance.spend_bytes(count)
        return count


class _CountedSocket:
    """As much of a socket as http.client uses; whoever opened the real one closes it."""

    def __init__(self, connection: socket.socket, allowance: Allowance):
        self.sendall = connection.sendall
        self.reads = _CountedReads(connection, allowance)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reads)

    def close(self) -> None:
        pass


class _FinalResponse(http.client.HTTPResponse):
    """The answer after the interim ones (102, 103 Early Hints); http.client itself passes over 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        # Their bytes count, so there is an end.
        while True:
            version, status, reason = super()._read_status()
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline().strip():
                pass  # a header of it


@contextlib.contextmanager
def _asked(parts: urllib.parse.SplitResult, headers: dict, allowance: Allowance, resolve: Resolver):
    """The answer to one request, without redirects, its body still to be read."""
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    client = http.client.HTTPConnection(parts.hostname, port)
    client.default_port = DEFAULT_PORTS[parts.scheme]
    client.response_class = _FinalResponse
    allow_private = allowance.limits.allows_private(parts.hostname, port)
    found = find_addresses(parts.hostname, port, allow_private, resolve)
    allowance.limits.check_port(parts.hostname, port)
    # A server with many names is one host, and so is a name with many servers.
    allowance.wait_for_turn({parts.hostname, found[0][4][0]})
    connection = _dial(found, allowance)
    if parts.scheme == "https":
        connection = _secure(connection, parts.hostname, allowance)
    with connection:
        client.sock = _CountedSocket(connection, allowance)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        target = urllib.parse.quote(target, safe=string.punctuation)
        client.request("GET", target, headers={**headers, "Connection": "close"})
        yield client.getresponse()


@contextlib.contextmanager
def opened(
    url: str, headers: dict, allowance: Allowance, resolve: Resolver = socket.getaddrinfo
) -> Iterator[http.client.HTTPResponse]:
    """The answer at the end of the redirects, its body still to be read with `read_body`.

    Raises:
        Refusal: the URL, a redirect or the cost is forbidden.
        HTTPError: the status is not 2xx.
        URLError: no connection.
    """
    parts = check_url(url)
    for _ in range(allowance.limits.max_redirects + 1):
        with _asked(parts, headers, allowance, resolve) as response:
            location = response.headers.get("Location") if response.status in REDIRECTS else None
            if location is None:
                _check_status(parts.geturl(), response)
                yield response
                return
        # http.client reads headers as ISO-8859-1; the bytes may be anything.
        target = urllib.parse.quote(location, encoding="iso-8859-1", safe=string.punctuation)
        parts = check_url(target, base=parts.geturl())
    raise Refusal("too_many_redirects", f"more than {allowance.limits.max_redirects}")


def _check_status(url: str, response: http.client.HTTPResponse) -> None:
    """Raises HTTPError unless the status is 2xx."""
    if not 200 <= response.status < 300:
        raise HTTPError(url, response.status, response.reason, response.headers, None)


def read_body(response: http.client.HTTPResponse, limits: FetchLimits) -> bytes:
    """The whole body.

    Raises:
        Refusal: it is longer than allowed, or comes too slowly.
        IncompleteRead: it ends before the length that was announced.
    """
    if response.length and response.length > limits.max_bytes:
        raise Refusal("too_many_bytes", f"{response.length} announced, more than {limits.max_bytes}")
    # In pieces, because http.client allocates what a chunk announces before it comes.
    body = b"".join(iter(lambda: response.read(PIECE_BYTES), b""))
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body
