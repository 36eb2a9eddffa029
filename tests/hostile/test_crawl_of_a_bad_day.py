"""A crawl that is killed at any moment, whose disk fills, whose clock is set: it ends as a quiet one."""

import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from components import crawl_records
from tests.components.crawl_process import CONFIG, outcome, started, whole_rows, write_urls
from tests.components.crawl_site import running
from tests.hostile import WHOLE, number

pytestmark = pytest.mark.skipif(not WHOLE, reason="minutes: make test-hostile")
NUM_URLS = 64
# Put before every program by its name: each process' clock jumps, back and forth, while it works.
JUMPING = """
import itertools, time
real, jumps = time.time, itertools.cycle((0.0, -3600.0, 7200.0, -7200.0))
time.time = lambda: real() + next(jumps)
"""


@pytest.fixture(scope="module")
def site():
    with running() as address:
        yield address


def urls_of(site: str) -> list[str]:
    return [f"{site}/{each}.jpg?slow=0.05" for each in range(NUM_URLS)]


@pytest.mark.parametrize("seed", range(number(0, 8)))
def test_killed_again_and_again(site, tmp_path, seed):
    rng, lists = random.Random(seed), write_urls(tmp_path, urls_of(site))
    for _ in range(3):
        process = started(CONFIG, lists, tmp_path)
        time.sleep(rng.uniform(3.0, 12.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert outcome(started(CONFIG, lists, tmp_path))["downloaded"] == NUM_URLS
    whole_rows(tmp_path / "shards", urls_of(site))


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts a small disk")
def test_a_disk_that_fills(site, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, "size=100k", "none", disk], check=True)
    try:
        lists = write_urls(tmp_path, urls_of(site))
        full = started(CONFIG, lists, disk)
        full.communicate()
        assert full.returncode != 0
        subprocess.run([*mount, "remount,size=100m", "none", disk], check=True)
        assert outcome(started(CONFIG, lists, disk))["downloaded"] == NUM_URLS
        whole_rows(disk / "shards", urls_of(site))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_clock_that_jumps(site, tmp_path, monkeypatch):
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "clock"), prepend=os.pathsep)
    config = replace(CONFIG, max_requests_per_second_per_host=50.0)
    start = time.monotonic()
    counts = outcome(started(config, write_urls(tmp_path, urls_of(site)), tmp_path))
    assert counts["downloaded"] == NUM_URLS and time.monotonic() - start < 120
    assert outcome(started(config, tmp_path / "urls", tmp_path))["downloaded"] == NUM_URLS


def test_orphans_end_and_leave_nothing_half(site, tmp_path):
    """The first process alone is killed, as by the kernel for its memory; its workers end by themselves."""
    lists: Path = write_urls(tmp_path, urls_of(site))
    process = started(CONFIG, lists, tmp_path)
    while not crawl_records.shard_numbers(tmp_path / "shards"):
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while alive_in_group(process.pid):
        assert time.monotonic() < deadline, "workers outlive the crawl"
        time.sleep(0.1)
    assert outcome(started(CONFIG, lists, tmp_path))["downloaded"] == NUM_URLS


def alive_in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
