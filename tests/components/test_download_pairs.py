"""URL lists of all kinds, and a crawl of a server on loopback with what the web has: dead links, pages."""

import gzip
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.download_pairs import DownloadPairs, UrlList, crawl, merge_lists, read_list
from components.step import StepError

ROWS = pd.DataFrame(
    {"url": ["http://a/1.png", "http://a/2.png", "http://a/3.png"], "caption": ["a cat", None, "狗"]}
)
READ = [["http://a/1.png", "a cat"], ["http://a/2.png", None], ["http://a/3.png", "狗"]]


def write_csv(file: Path, separator: str = ",", rows: pd.DataFrame = ROWS) -> Path:
    """A list as text; pandas compresses by suffix."""
    rows.to_csv(file, sep=separator, index=False)
    return file


@pytest.mark.parametrize(
    "name, write",
    [
        ("pairs.csv", write_csv),
        ("pairs.v2.csv", write_csv),
        ("pairs.csv.gz", write_csv),
        ("pairs.tsv", lambda file: write_csv(file, "\t")),
        ("pairs.tsv.gz", lambda file: write_csv(file, "\t")),
        ("pairs.parquet", ROWS.to_parquet),
    ],
)
def test_a_list_is_read_by_its_suffix(tmp_path, name, write):
    write(tmp_path / name)
    frame = read_list(UrlList(str(tmp_path / name), "en"))
    assert list(frame.columns) == ["url", "en"]
    assert frame.to_numpy().tolist() == READ


def test_columns_may_have_other_names_and_more_of_them(tmp_path):
    rows = ROWS.rename(columns={"url": "image link", "caption": "alt"}).assign(width=3)
    file = write_csv(tmp_path / "pairs.csv", rows=rows)
    frame = read_list(UrlList(str(file), "zh", url_column="image link", caption_column="alt"))
    assert list(frame.columns) == ["url", "zh"]
    assert frame.to_numpy().tolist() == READ


@pytest.mark.parametrize("caption", ["NA", "null", "None", "nan", "123", "a, b", 'a "b"', "两只 猫"])
def test_a_caption_is_what_the_file_says(tmp_path, caption):
    rows = pd.DataFrame({"url": ["http://a/1.png"], "caption": [caption]})
    frame = read_list(UrlList(str(write_csv(tmp_path / "pairs.csv", rows=rows)), "en"))
    assert frame["en"].tolist() == [caption]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.parquet"])
def test_an_empty_caption_is_none(tmp_path, name):
    rows = pd.DataFrame({"url": ["http://a/1.png"], "caption": [""]})
    write = rows.to_parquet if name.endswith("parquet") else lambda file: write_csv(file, rows=rows)
    write(tmp_path / name)
    assert read_list(UrlList(str(tmp_path / name), "en"))["en"].tolist() == [None]


GZIPPED = gzip.compress(b"url,caption\n" + b"http://a/1.png,cat\n" * 999)


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("gone.csv", None, "No such file"),
        ("gone.parquet", None, "No such file"),
        ("empty.csv", b"", "No columns to parse"),
        ("no-caption.csv", b"url,text\nhttp://a/1.png,cat\n", "caption"),
        ("no-url.tsv", b"link\tcaption\nhttp://a/1.png\tcat\n", "url"),
        ("bytes.csv", b"url,caption\nhttp://a/1.png,\xff\xfe\x00\n", "codec can't decode"),
        ("text.csv.gz", b"url,caption\nhttp://a/1.png,cat\n", "gzip"),
        ("cut.csv.gz", GZIPPED[:-20], "ended before"),
        ("text.parquet", b"url,caption\n", "Parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unreadable_list_is_named_with_the_reason(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StepError, match=reason) as failure:
        read_list(UrlList(str(tmp_path / name), "en"))
    assert str(failure.value).startswith(f"cannot read the URL list {tmp_path / name}: ")
    assert "\n" not in str(failure.value)


def test_a_parquet_list_without_the_column_is_named(tmp_path):
    ROWS.rename(columns={"caption": "text"}).to_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(StepError, match=r"cannot read the URL list .*pairs\.parquet: .*caption"):
        read_list(UrlList(str(tmp_path / "pairs.parquet"), "en"))


def test_an_unknown_language_is_named(tmp_path):
    with pytest.raises(StepError, match=r"pairs\.csv: language 'de', expected one of"):
        read_list(UrlList(str(write_csv(tmp_path / "pairs.csv")), "de"))


def list_of(file: Path, lang: str, rows: list[tuple[str, str]]) -> UrlList:
    """A CSV list with these rows."""
    write_csv(file, rows=pd.DataFrame(rows, columns=["url", "caption"]))
    return UrlList(str(file), lang)


def test_two_captions_of_one_url_become_one_row(tmp_path):
    chinese = list_of(tmp_path / "zh.csv", "zh", [("u1", "猫"), ("u2", "狗"), ("u3", ""), ("", "鱼")])
    english = list_of(tmp_path / "en.csv", "en", [("u4", "fish"), ("u1", "cat"), ("u1", "a second cat")])
    merged, counts = merge_lists((chinese, english))
    assert list(merged.columns) == ["url", "zh", "en"]
    assert merged.to_numpy().tolist() == [["u1", "猫", "cat"], ["u2", "狗", None], ["u4", None, "fish"]]
    assert counts == {"rows": 7, "no_url_or_caption": 2, "joined_by_url": 2, "urls": 3}


def test_lists_without_a_usable_row_end_the_step(tmp_path):
    source = list_of(tmp_path / "zh.csv", "zh", [("u1", ""), ("", "猫")])
    with pytest.raises(StepError, match="no row of the URL lists has both a URL and a caption"):
        crawl(DownloadPairs((source,)), tmp_path, {})


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
def make_config(tmp_path_factory, site) -> Callable[[dict], DownloadPairs]:
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
        crawl(config, place, {})
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
    return Crawls(place, first, kept, crawl(config, place, {}))


def test_a_shard_that_could_not_be_written_ends_the_step(crawled):
    """img2dataset says so in its log and returns as if all were well."""
    assert isinstance(crawled.first, StepError)


def test_a_second_crawl_keeps_finished_shards(crawled):
    assert (crawled.place / "shards" / "00000.tar").stat().st_mtime_ns == crawled.kept


def test_a_crawl_counts_what_came(crawled):
    facts = {**crawled.facts}
    came = facts.pop("crawl")
    assert facts == {"rows": 5, "no_url_or_caption": 0, "joined_by_url": 0, "urls": 5}
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
        crawl(make_config({"gone.png": "无", "page.png": "页"}), tmp_path, {})
