"""Crawls of tests: as programs of their own that can be killed, their lists, and what they left."""

import json
import subprocess
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from components.download_pairs import DownloadPairs

ENGINES = {"spark_master": "local[2]", "ray_address": ""}
CONFIG = DownloadPairs(
    (),
    num_processes=2,
    num_threads=2,
    pairs_per_shard=8,
    retries=0,
    max_pause_seconds=0.0,
    max_requests_per_second_per_host=0.0,
    allow_private_addresses=True,
)
# A crawl as a program, so that it can be killed with all its processes.
PROGRAM = """
import json, pathlib, sys
from components.crawl import crawl_urls
from components.download_pairs import DownloadPairs
from components.step import build
config, urls, place, engines = map(json.loads, sys.argv[1:])
print(json.dumps(crawl_urls(build(DownloadPairs, config), pathlib.Path(urls), pathlib.Path(place), engines)))
"""


def write_urls(folder: Path, urls: list[str], files: int = 1) -> Path:
    """A folder of lists in parquet."""
    (folder / "urls").mkdir(parents=True)
    rows = pd.DataFrame({"url": urls, "zh": [f"图{number}" for number in range(len(urls))], "en": None})
    rows = rows.astype({"en": "string"})
    for number in range(files):
        rows[number::files].to_parquet(folder / "urls" / f"part-{number}.parquet", index=False)
    return folder / "urls"


def read_rows(shards: Path) -> pd.DataFrame:
    """All that a crawl recorded, by the path that was asked for."""
    rows = pd.concat(pd.read_parquet(file) for file in sorted(shards.glob("*.parquet")))
    return rows.set_index(rows["url"].str.extract(r"(/\d+\.jpg)", expand=False))


def read_keys(shards: Path) -> list[str]:
    """Keys of the pictures in all shards; a shard that is half written cannot be read."""
    keys = []
    for shard in sorted(shards.glob("*.tar")):
        with tarfile.open(shard) as tar:
            keys += [name[:-4] for name in tar.getnames() if name.endswith(".jpg")]
    return sorted(keys)


def started(config: DownloadPairs, urls: Path, place: Path) -> subprocess.Popen:
    """A crawl in a process group of its own."""
    arguments = [json.dumps(item) for item in (asdict(config), str(urls), str(place), ENGINES)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], start_new_session=True, stdout=subprocess.PIPE, text=True
    )


def outcome(process: subprocess.Popen) -> dict:
    """What a crawl came to, when it has ended."""
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def whole_rows(shards: Path, urls: list[str]) -> pd.DataFrame:
    """The rows of a finished crawl: each URL once, and a picture for each success."""
    rows = read_rows(shards)
    assert sorted(rows["url"]) == sorted(urls)
    assert read_keys(shards) == sorted(rows[rows["status"] == "success"]["key"])
    return rows
