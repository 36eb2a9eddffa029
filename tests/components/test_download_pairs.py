"""A crawl of a server on loopback with what the web has: dead links, pages."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.download_pairs import DownloadPairs, crawl
from components.step import StepError
from components.url_lists import UrlList


def list_of(file: Path, lang: str, rows: list[tuple[str, str]]) -> UrlList:
    """A CSV list with these rows."""
    pd.DataFrame(rows, columns=["url", "caption"]).to_csv(file, index=False)
    return UrlList(str(file), lang)


ENGINES = {"spark_master": "local[2]"}
SMALL = DownloadPairs(
    (),
    encode_format="png",
    encode_quality=1,
    num_processes=1,
    num_threads=4,
    timeout_seconds=5,
    retries=0,
    allow_private_addresses=True,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory, served) -> str:
    """A site with two pictures, one of them large, and a page that is named like a picture."""
    folder = tmp_path_factory.mktemp("site")
    Image.new("RGB", (40, 30), "red").save(folder / "good.png")
    Image.new("RGB", (600, 300), "blue").save(folder / "large.png")
    (folder / "page.png").write_text("<html>This picture has moved.</html>")
    return served(folder)


@pytest.fixture(scope="module")
def make_config(spark, tmp_path_factory, site) -> Callable[[dict], DownloadPairs]:
    """A config whose list has one caption a picture of the site."""

    def make(captions: dict[str, str]) -> DownloadPairs:
        rows = [(name if ":" in name else f"{site}/{name}", text) for name, text in captions.items()]
        return replace(SMALL, lists=(list_of(tmp_path_factory.mktemp("list") / "zh.csv", "zh", rows),))

    return make


CAPTIONS = {
    "good.png": "猫",
    "large.png": "海",
    "gone.png": "无",
    "page.png": "页",
    "http://127.0.0.1:9/dead.png": "死",
}


@dataclass(frozen=True)
class Crawls:
    """Two crawls to one place; in the way of the first one's second shard was a folder."""

    place: Path
    first: StepError | None
    kept: int
    facts: dict


def attempt(config: DownloadPairs, place: Path) -> StepError | None:
    """What a crawl failed with, None when it did not fail."""
    try:
        crawl(config, place, ENGINES)
    except StepError as failure:
        return failure


@pytest.fixture(scope="module")
def crawled(tmp_path_factory, make_config) -> Crawls:
    """A crawl that loses a shard, then one that makes up for it."""
    config, place = replace(make_config(CAPTIONS), pairs_per_shard=3), tmp_path_factory.mktemp("crawled")
    obstacle = place / "shards" / "00001.tar"
    obstacle.mkdir(parents=True)
    first = attempt(config, place)
    kept = (place / "shards" / "00000.tar").stat().st_mtime_ns
    obstacle.rmdir()
    return Crawls(place, first, kept, crawl(config, place, ENGINES))


def test_a_shard_that_could_not_be_written_ends_the_step(crawled):
    """img2dataset says so in its log and returns as if all were well."""
    assert isinstance(crawled.first, StepError)


def test_a_second_crawl_keeps_finished_shards(crawled):
    assert (crawled.place / "shards" / "00000.tar").stat().st_mtime_ns == crawled.kept


def test_a_crawl_counts_what_came(crawled):
    facts = {**crawled.facts}
    came = facts.pop("crawl")
    assert facts == {
        "rows": 5,
        "urls": 5,
        "captions": {"zh": 5, "en": 0},
        "joined_by_url": 0,
        "dropped": {},
        "captions_dropped": {},
        "lists": {"zh.csv": 5},
    }
    assert (came["urls"], came["downloaded"], came["success_rate"]) == (5, 2, 0.4)
    assert came["failures"] == {"http_error": 1, "not_an_image": 1, "no_answer": 1}


@pytest.mark.parametrize(
    "name, status, message",
    [
        ("good.png", "success", None),
        ("large.png", "success", None),
        ("gone.png", "failed_to_download", "HTTP Error 404: File not found"),
        ("page.png", "failed_to_download", "not_an_image: neither JPEG, PNG, WEBP, GIF nor BMP"),
        ("dead.png", "failed_to_download", "<urlopen error [Errno 111] Connection refused>"),
    ],
)
def test_each_url_leaves_a_row_with_its_status(crawled, name, status, message):
    rows = pd.concat(pd.read_parquet(file) for file in (crawled.place / "shards").glob("*.parquet"))
    (row,) = rows[rows["url"].str.endswith(name)].to_dict("records")
    assert (row["status"], row["error_message"]) == (status, message)


def test_pictures_lie_in_shards_with_their_captions(crawled):
    shards = sorted((crawled.place / "shards").glob("*.tar"))
    assert [shard.name for shard in shards] == ["00000.tar", "00001.tar"]
    pictures = {}
    for shard in shards:
        pictures |= read_pictures(shard)
    assert pictures == {"猫": (40, 30), "海": (512, 256)}


def read_pictures(shard: Path) -> dict[str, tuple[int, int]]:
    """The size of each picture in a shard by its caption."""
    with tarfile.open(shard) as tar:
        names = [name[:-4] for name in tar.getnames() if name.endswith(".png")]
        captions = [json.load(tar.extractfile(f"{name}.json"))["zh"] for name in names]
        sizes = [Image.open(tar.extractfile(f"{name}.png")).size for name in names]
    return dict(zip(captions, sizes, strict=True))


def test_a_crawl_without_a_picture_ends_the_step(tmp_path, make_config):
    with pytest.raises(StepError, match="none of the URLs gave an image"):
        crawl(make_config({"gone.png": "无", "page.png": "页"}), tmp_path, ENGINES)
