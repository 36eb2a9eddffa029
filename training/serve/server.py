"""Starts the page's server, and says where."""

import socket
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette

ANY = ("0.0.0.0", "::")
# More wait in the socket's queue.
MAX_REQUESTS = 32


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
    return uvicorn.Server(uvicorn.Config(app, limit_concurrency=MAX_REQUESTS, **options))
