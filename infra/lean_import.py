"""Imports of libraries without the parts of them that would load a large one: seconds in every process."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without(name: str) -> Iterator[None]:
    """While this is open, importing the package `name` fails as if it were not installed.

    For libraries that import it for functions that are not used here, and do without it. Where it is loaded
    already nothing changes. What is imported inside keeps its shape for the life of the process.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
