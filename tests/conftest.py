"""What tests of several packages share: a Spark session, a served folder, an S3 server, a finished run."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.s3_counter import Counter, counting


@cache
def uses_smoke_run(file: Path) -> bool:
    """Whether tests of a file need the smoke run."""
    return "first_run" in file.read_text()


# What starts Spark, Ray, a server, a browser or containers, by fixture and by folder or file; all other
# tests are `make test-fast`.
ENGINE_FIXTURES = frozenset({"spark", "first_run", "s3_server", "browser", "engine"})
ENGINE_FILES = (
    "tests/benchmarks/",
    "tests/cluster/",
    "tests/components/test_crawl",
    "tests/components/test_download_pairs.py",
    "tests/infra/test_locks.py",
    "tests/pipelines/test_secrets.py",
    "tests/pipelines/test_serve.py",
    "tests/pipelines/test_students.py",
    "tests/spark_jobs/test_on_kubernetes.py",
    "tests/training/test_autoscaling.py",
    "tests/training/test_champion_start.py",
    "tests/training/test_ray_edge.py",
    "tests/training/test_register_step.py",
    "tests/training/test_run.py",
)


def starts_engine(item: pytest.Item) -> bool:
    """Whether a test needs more than its own process for long."""
    return bool(ENGINE_FIXTURES & set(getattr(item, "fixturenames", ()))) or item.nodeid.startswith(
        ENGINE_FILES
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start engines, and order files so that no worker is left alone with a long one.

    Those that need the smoke run take longest and are begun first, then those that start engines.
    """
    engines = set(filter(starts_engine, items))
    for item in engines:
        item.add_marker("engine")
    heavy = {item.path for item in engines}
    items.sort(key=lambda item: (not uses_smoke_run(item.path), item.path not in heavy))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """With two workers (`make test`) a file's tests stay together, and those that need the smoke run."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "smoke run" if uses_smoke_run(config.rootpath / file) else file

    return Together(config, log)


@pytest.fixture(scope="session")
def spark():
    """One session for all tests; a JVM takes seconds to start."""
    from spark_jobs.session import spark_session

    with spark_session("tests", "local[2]") as session:
        yield session


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on a free port of loopback until the tests end; gives the URL."""
    from components.demo_site import serve_folder

    with contextlib.ExitStack() as stack:
        yield lambda folder: f"http://127.0.0.1:{stack.enter_context(serve_folder(folder, 0))}"


@pytest.fixture(scope="session")
def first_run(tmp_path_factory) -> tuple[Path, str]:
    """(root, what it printed) of one run of the smoke recipe from nothing, by this machine's engines."""
    from tests.smoke_run import dcclip_run

    root = tmp_path_factory.mktemp("smoke")
    return root, dcclip_run(root)


S3_SERVER = Path(__file__).with_name("s3_server.py")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[str]:
    """The endpoint of a real S3 server that checks signatures (tests/s3_server.py)."""
    if importlib.util.find_spec("swift") is None:
        pytest.skip("the S3 server is not installed: pip install -c constraints.txt swift")
    folder = tmp_path_factory.mktemp("s3")
    try:
        os.setxattr(folder, "user.test", b"")
    except OSError:
        pytest.skip(
            f"{folder} has no extended attributes, where the S3 server keeps what it knows of objects"
        )
    command = [sys.executable, str(S3_SERVER), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, **pipes) as server:
        port = server.stdout.readline().strip()
        assert port, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
        server.stdin.close()


@pytest.fixture
def s3(s3_server, monkeypatch, tmp_path) -> str:
    """An S3 endpoint with credentials in the environment, and a scratch folder of this test's own."""
    from tests.s3_server import ACCESS_KEY, SECRET_KEY

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("DCCLIP_SCRATCH", str(tmp_path / "scratch"))
    return s3_server


@pytest.fixture
def bucket(s3) -> str:
    """The address of a new bucket."""
    import boto3

    name = f"test-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture
def counted(s3, bucket, monkeypatch) -> Iterator[Counter]:
    """The S3 server behind a counter of requests, as the endpoint of this process; see `bucket`."""
    with counting(s3) as counter:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", counter.endpoint)
        yield counter
