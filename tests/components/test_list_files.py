"""A list's files before Spark reads them: which they are, and what is wrong with them as a whole."""

import gzip
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from components.list_files import find_files, look_at
from components.step import StepError
from components.url_lists import Layout, UrlList

TEXT = "url,caption\nhttp://a/1.png,a cat\n"
GZIPPED = gzip.compress(TEXT.encode() * 999)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Lists, and what else lies in folders."""
    for name in (
        "b.csv",
        "a.tsv.gz",
        "deep/c.jsonl.zst",
        "d.parquet",
        "notes.txt",
        "_SUCCESS",
        ".a.csv.crc",
        ".b.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    "path, names",
    [
        ("b.csv", ["b.csv"]),
        ("", ["a.tsv.gz", "b.csv", "d.parquet", "deep/c.jsonl.zst"]),
        ("deep", ["deep/c.jsonl.zst"]),
        ("*.csv", ["b.csv"]),
        ("**/*.zst", ["deep/c.jsonl.zst"]),
        ("[ab].*", ["a.tsv.gz", "b.csv"]),
    ],
)
def test_a_list_is_a_file_a_folder_or_a_pattern(folder, path, names):
    assert find_files(UrlList(str(folder / path), "en")) == [folder / name for name in names]


def test_a_format_by_name_takes_every_file_of_a_folder(folder):
    files = find_files(UrlList(str(folder), Layout(en="caption", format="csv")))
    assert folder / "notes.txt" in files
    assert folder / "_SUCCESS" not in files


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    for name in ("[ab].csv", "a.csv"):
        (tmp_path / name).write_text(TEXT)
    assert find_files(UrlList(str(tmp_path / "[ab].csv"), "en")) == [tmp_path / "[ab].csv"]


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("gone.csv", None, "No such file"),
        ("gone.parquet", None, "No such file"),
        ("gone/*.csv", None, "No such file, and no file fits the pattern"),
        ("empty.csv", b"", "it is empty"),
        ("blank.csv", b"\n\n", "it is empty"),
        ("no-caption.csv", b"url,text\nhttp://a/1.png,cat\n", "no column caption; it has url, text"),
        ("no-url.tsv", b"link\tcaption\nhttp://a/1.png\tcat\n", "no column url; it has link, caption"),
        ("neither.jsonl", b'{"link": 1}\n{"alt": "cat"}\n', "no column caption, url; it has link, alt"),
        ("utf16.csv", TEXT.encode("utf-16"), "its header line is not UTF-8"),
        ("text.csv.gz", TEXT.encode(), "(?i)zlib|gzip|header"),
        ("text.csv.zst", TEXT.encode(), "(?i)zstd"),
        ("cut.csv.gz", GZIPPED[:-20], "(?i)truncated|ended"),
        ("text.parquet", TEXT.encode(), "(?i)parquet"),
        ("text.jsonl", TEXT.encode(), "no line of it is a JSON object"),
        (
            "list.txt",
            TEXT.encode(),
            "its suffix tells no format; name one in the layout: csv, jsonl, parquet, tsv",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unreadable_list_is_named_with_the_reason(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StepError, match=reason) as failure:
        look_at(UrlList(str(tmp_path / name), "en"))
    assert str(failure.value).startswith(f"cannot read the URL list {tmp_path / name}: ")
    assert "\n" not in str(failure.value)


def test_a_folder_without_a_list_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(StepError, match=f"{tmp_path}: the folder holds no list"):
        look_at(UrlList(str(tmp_path), "en"))


def test_a_parquet_list_without_the_column_is_named(tmp_path):
    pd.DataFrame({"URL": ["http://a/1.png"], "text": ["cat"]}).to_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(StepError, match=r"pairs\.parquet: no column TEXT; it has URL, text"):
        look_at(UrlList(str(tmp_path / "pairs.parquet"), "laion"))


def test_files_that_are_alike_are_one_part(tmp_path):
    for name, header in (("a.csv", "url,caption"), ("b.csv", "url,caption"), ("c.csv", "caption,url")):
        (tmp_path / name).write_text(f"{header}\n")
    with pa.output_stream(str(tmp_path / "d.csv.zst"), compression="detect") as stream:
        stream.write(TEXT.encode())
    parts = look_at(UrlList(str(tmp_path), "zh"))
    assert [[Path(file).name for file in part.files] for part in parts] == [
        ["a.csv", "b.csv", "d.csv.zst"],
        ["c.csv"],
    ]
    assert [part.columns for part in parts] == [("url", "caption"), ("caption", "url")]


def test_a_json_line_that_is_broken_or_lacks_a_name_is_no_matter(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"url": "x\n{"url": "http://a/1.png"}\n{"url": "u", "en": "\u2028"}\n')
    (part,) = look_at(UrlList(str(tmp_path / "a.jsonl"), Layout(en="en")))
    assert (part.format, part.header) == ("jsonl", "")
