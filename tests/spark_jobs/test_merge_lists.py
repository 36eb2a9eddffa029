"""The job before the crawl: which rows and captions go and why, which rows become one, and in what order."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import functions as F

from components.list_files import look_at
from components.url_lists import Layout, UrlList
from spark_jobs.merge_lists import MAX_URL_CHARS, judge, merge, merge_lists, row_rules
from spark_jobs.rules import first_reason
from spark_jobs.url_lists import read_lists


def too_short(lang: str):
    """A caption rule of these tests."""
    return F.when(F.length(lang) < 2, F.lit(f"{lang}_too_short"))


@pytest.mark.parametrize(
    "url, reason",
    [
        ("http://a.com/1.png", None),
        ("HTTPS://A.com:8080/1.png?w=3&h=[4]", None),
        ("http://127.0.0.1:80/1.png", None),
        ("http://[2001:db8::1]/1.png", None),
        ("http://a.com", None),
        ("http://a.com?id=1", None),
        ("http://例子.中国/图片 1.png", None),
        ("http://a.com/who@where.png", None),
        ("http://a.com:/1.png", None),
        ("", "no_url"),
        (" \u3000", "no_url"),
        ("#top", "no_url"),
        ("ftp://a.com/1.png", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("data:image/png;base64,AAAA", "bad_url"),
        ("javascript:alert(1)", "bad_url"),
        ("//a.com/1.png", "bad_url"),
        ("a.com/1.png", "bad_url"),
        ("http:///1.png", "bad_url"),
        ("http://:80/1.png", "bad_url"),
        ("http://?x", "bad_url"),
        ("http://me:secret@a.com/1.png", "bad_url"),
        ("http://a.com@127.0.0.1/1.png", "bad_url"),
        ("http://a.com\\@127.0.0.1/1.png", "bad_url"),
        ("http://a.com:x/1.png", "bad_url"),
        ("http://a.com/1\n.png", "bad_url"),
        ("http://a.com/\x00.png", "bad_url"),
        ("http://a b.com/1.png", "bad_url"),
        ("http://a.com/1.png#" + "#" * 200_000, None),
        ("#" * 200_000, "no_url"),
        ("http://a.com/\x85#" + "#\u2028" * 100_000, "bad_url"),
        ("http://a.com/?" + "?" * 200_000, "bad_url"),
        ("http://a.com/1\x85.png", "bad_url"),
        ("http://a.com/1\u2028.png", "bad_url"),
        ("http://a.com/1\u2029.png", "bad_url"),
        ("http://a.com/1\uffff.png", "bad_url"),
        ("http://a\u2028.com/1.png", "bad_url"),
        ("http://[::1/1.png", "bad_url"),
        ("http://a.com/" + "x" * (MAX_URL_CHARS - 13), None),
        ("http://a.com/" + "x" * (MAX_URL_CHARS - 12), "bad_url"),
    ],
)
def test_urls(judged_urls, url, reason):
    assert judged_urls[url] == reason


@pytest.fixture(scope="module")
def judged_urls(spark) -> dict[str, str | None]:
    """The reason of each URL of test_urls, judged in one go."""
    (mark,) = test_urls.pytestmark
    urls = [url for url, _ in mark.args[1]]
    rows = spark.createDataFrame(
        [(url, url, "猫猫", None, False) for url in urls],
        "raw string, url string, zh string, en string, malformed boolean",
    )
    return {row["raw"]: row["reason"] for row in judge(rows, too_short).collect()}


def test_a_malformed_row_is_nothing_else(spark):
    rows = spark.createDataFrame(
        [(None, None, None, True)], "url string, zh string, en string, malformed boolean"
    )
    assert [row[0] for row in rows.select(first_reason(row_rules())).collect()] == ["malformed_row"]


def test_captions_are_clean_before_any_rule_looks(spark):
    rows = spark.createDataFrame(
        [
            ("http://a/1", "&#29483;", "Tom &amp;amp; <b>Jerry</b>", False),
            ("http://a/2", "&#29483;&#29483;", "<p> </p>", False),
            ("http://a/3", "<br>", "a\r\ncat\u2028sleeps", False),
        ],
        "url string, zh string, en string, malformed boolean",
    )
    columns = ("zh", "zh_reason", "en", "reason")
    assert [tuple(row[name] for name in columns) for row in judge(rows, too_short).collect()] == [
        ("猫", "zh_too_short", "Tom & Jerry", None),
        ("猫猫", None, None, None),
        (None, None, "a cat sleeps", None),
    ]


# url, zh, en; what becomes of it.
CHINESE = [
    ("http://a/1.png", "猫猫", ""),
    ("http://a/2.png#right", " 大狗 ", ""),
    ("http://a/3.png", "", ""),
    ("", "鱼鱼", ""),
    ("http://a/4.png", "鸟", ""),
    ("file:///etc/passwd", "鸟鸟", ""),
]
ENGLISH = [
    ("http://a/1.png", "", "cat"),
    ("http://a/1.png", "", "a second cat"),
    ("http://a/1.png", "", "a sacond cat"),
    ("http://a/2.png", "狗在前", ""),
    ("http://a/5.png", "", "NA"),
]
BOTH = [
    ("http://a/6.png", "船船", "a boat"),
    ("http://a/7.png", "车", "a car"),
    ("http://a/8.png", "树", "t"),
    ("http://a/9.png#x", "海", ""),
]
MERGED = {
    "http://a/1.png": ("猫猫", "a sacond cat"),
    "http://a/2.png": ("大狗", None),
    "http://a/5.png": (None, "NA"),
    "http://a/6.png": ("船船", "a boat"),
    "http://a/7.png": (None, "a car"),
}
DROPPED = [
    ("http://a/3.png", None, None, "one.csv", "no_caption"),
    (None, "鱼鱼", None, "one.csv", "no_url"),
    ("http://a/4.png", "鸟", None, "one.csv", "zh_too_short"),
    ("file:///etc/passwd", "鸟鸟", None, "one.csv", "bad_url"),
    ("http://a/7.png", "车", None, "three.jsonl", "zh_too_short"),
    ("http://a/8.png", "树", "t", "three.jsonl", "zh_too_short"),
    ("http://a/9.png", "海", None, "three.jsonl", "zh_too_short"),
    (None, None, None, "two.tsv", "malformed_row"),
]
LAYOUT = Layout(zh="zh", en="en")


@pytest.fixture(scope="module")
def lists(tmp_path_factory) -> list:
    """Three lists, in the order CHINESE, ENGLISH, BOTH."""
    folder = tmp_path_factory.mktemp("lists")
    columns = ["url", "zh", "en"]
    pd.DataFrame(CHINESE, columns=columns).to_csv(folder / "one.csv", index=False)
    pd.DataFrame(ENGLISH, columns=columns).to_csv(folder / "two.tsv", sep="\t", index=False)
    with (folder / "two.tsv").open("a") as file:
        file.write("only one field\n")
    rows = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in BOTH]
    (folder / "three.jsonl").write_text("\n".join(rows))
    return [look_at(UrlList(str(folder / name), LAYOUT)) for name in ("one.csv", "two.tsv", "three.jsonl")]


NAMES = ("one.csv", "two.tsv", "three.jsonl")


@pytest.fixture(scope="module")
def written(spark, lists, tmp_path_factory) -> tuple[Path, dict]:
    """(place, facts) of the job."""
    place = tmp_path_factory.mktemp("merged")
    return place, merge_lists(spark, lists, NAMES, too_short, place)


def read(folder: Path) -> list[tuple]:
    """Rows of a parquet folder as the crawler reads it: file by file, row by row."""
    files = sorted(folder.glob("*.parquet"))
    frame = pd.concat(pd.read_parquet(file) for file in files).astype(object)
    return [tuple(row) for row in frame.where(frame.notna(), None).to_numpy().tolist()]


def test_captions_of_one_url_become_one_row(written):
    place, _ = written
    assert {url: captions for url, *captions in read(place / "urls")} == {
        url: list(row) for url, row in MERGED.items()
    }


def test_what_is_dropped_is_written_with_its_reason(written):
    place, _ = written
    dropped = [row[:5] for row in read(place / "lists_dropped")]
    assert sorted(dropped, key=str) == sorted(DROPPED, key=str)
    assert [row[5] for row in read(place / "lists_dropped") if row[5]] == ["only one field"]


def test_facts_count_every_row_once(written):
    _, facts = written
    assert facts == {
        "rows": 16,
        "urls": 5,
        "captions": {"zh": 3, "en": 4},
        "joined_by_url": 4,
        "dropped": {"zh_too_short": 3, "no_url": 1, "bad_url": 1, "no_caption": 1, "malformed_row": 1},
        "captions_dropped": {"zh_too_short": 1},
        "lists": {"one.csv": 6, "two.tsv": 6, "three.jsonl": 4},
    }
    assert facts["rows"] == facts["urls"] + facts["joined_by_url"] + sum(facts["dropped"].values())
    assert next(iter(facts["dropped"])) == "zh_too_short"


def test_the_first_list_of_the_recipe_wins(spark, lists):
    judged = judge(read_lists(spark, [lists[1], lists[0]]), too_short)
    captions = {row["url"]: row["zh"] for row in merge(judged, 1).collect()}
    assert captions["http://a/2.png"] == "狗在前"


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> list:
    """A list of 3,000 rows in three files, a URL in three of them twice."""
    folder = tmp_path_factory.mktemp("many")
    for part in range(3):
        rows = [
            (f"http://host{n % 50}.com/{n}.png", f"caption {n} of {part}")
            for n in range(part, 3_000, 2 + part)
        ]
        pd.DataFrame(rows, columns=["url", "caption"]).to_csv(folder / f"{part}.csv", index=False)
    return [look_at(UrlList(str(folder), "en"))]


@pytest.mark.parametrize("num_files", [1, 4])
def test_rows_lie_the_same_however_the_work_is_split(spark, many, tmp_path, num_files):
    """The crawler takes a shard's rows by their place in the files."""
    found = []
    for name, shuffle_partitions in (("first", "2"), ("second", "7")):
        spark.conf.set("spark.sql.shuffle.partitions", shuffle_partitions)
        rows = read_lists(spark, many)
        rows = rows if name == "first" else rows.repartition(5, "en")
        merge(judge(rows, too_short), num_files).write.parquet(str(tmp_path / name))
        found.append(
            [read_one.to_numpy().tolist() for read_one in map(pd.read_parquet, files_of(tmp_path / name))]
        )
    spark.conf.unset("spark.sql.shuffle.partitions")
    assert found[0] == found[1]
    assert len(found[0]) == num_files


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def test_urls_of_one_host_do_not_follow_each_other(spark, many):
    """Or a crawl would ask one host for thousands of pictures at a time."""
    urls = [row["url"] for row in merge(judge(read_lists(spark, many), too_short), 1).collect()]
    hosts = [url.split("/")[2] for url in urls]
    assert max(Counter(hosts[:300]).values()) < 20
    assert len(set(urls)) == len(urls) == 2_000
