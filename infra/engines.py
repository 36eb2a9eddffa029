"""Clusters that engines run on: whether one answers, and what to say when it does not."""

import socket


class EngineGone(Exception):
    """A cluster does not answer, or not any more; the message tells a person what to do."""


def own_address(engine: str, address: str) -> str:
    """This machine's IP address as the cluster of an engine at `address` (HOST:PORT) sees it.

    Raises:
        EngineGone: nobody answers there.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            return connection.getsockname()[0]
    except (OSError, ValueError, OverflowError) as error:
        raise EngineGone(
            f"{engine} at {address!r} (HOST:PORT) does not answer: {error}; start it or mend the address, "
            "then run again"
        ) from None
