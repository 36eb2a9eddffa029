"""What tests of several packages share: one Spark session, a folder served on loopback."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def spark():
    """One session for all tests; a JVM takes seconds to start."""
    from spark_jobs.session import spark_session

    with spark_session("tests", "local[2]") as session:
        yield session


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on a free port of loopback until the tests end; gives the URL."""
    from pipelines.local import serve_folder

    with contextlib.ExitStack() as stack:
        yield lambda folder: f"http://127.0.0.1:{stack.enter_context(serve_folder(folder, 0))}"
