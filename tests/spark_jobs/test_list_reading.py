"""Lists of every format and packing, with what real files have: BOM, CRLF, open quotes, odd widths."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.list_files import look_at
from components.url_lists import Layout, UrlList
from spark_jobs.url_lists import MAX_LINE_CHARS, UnreadableFile, naming_unreadable_files, read_lists

CAPTIONS = ["a cat", "紅色的蘋果 🍎", "NA", "null", "a, b", 'say "hi"', "123", None]
TABLE = [(f"http://a/{number}.png", caption) for number, caption in enumerate(CAPTIONS)]


def as_csv(separator: str = ",", end: str = "\n", header: str = "url,caption") -> str:
    """TABLE as text; fields that need quotes have them."""
    lines = [header.replace(",", separator)] if header else []
    for url, caption in TABLE:
        caption = caption or ""
        needs = separator == "," and set(caption) & set('",')
        lines.append(
            f'{url}{separator}"{caption.replace(chr(34), chr(34) * 2)}"'
            if needs
            else url + separator + caption
        )
    return end.join([*lines, ""])


def as_jsonl() -> str:
    rows = [{"url": url, "caption": caption} if caption else {"url": url} for url, caption in TABLE]
    return "\n".join([*(json.dumps(row, ensure_ascii=False) for row in rows), "", ""])


def pack(file: Path, text: str | bytes) -> Path:
    """Write a file, packed as its suffix says."""
    content = text if isinstance(text, bytes) else text.encode()
    with pa.output_stream(str(file), compression="detect") as stream:
        stream.write(content)
    return file


FILES = {
    "plain.csv": as_csv(),
    "plain.tsv": as_csv("\t"),
    "plain.jsonl": as_jsonl(),
    "packed.csv.gz": as_csv(),
    "packed.tsv.gz": as_csv("\t"),
    "packed.jsonl.gz": as_jsonl(),
    "packed.csv.zst": as_csv(),
    "packed.tsv.zst": as_csv("\t"),
    "packed.jsonl.zst": as_jsonl(),
    "bom.csv": "\ufeff" + as_csv(),
    "bom.tsv.gz": "\ufeff" + as_csv("\t"),
    "bom.jsonl.zst": "\ufeff" + as_jsonl(),
    "crlf.csv": as_csv(end="\r\n"),
    "crlf.tsv.zst": as_csv("\t", end="\r\n"),
    "blank.csv": as_csv(end="\n\n"),
    "v2.final.CSV": as_csv(),
    "odd [1] {a,b} *.csv": as_csv(),
}
QUOTED_TSV = 'url\tcaption\nhttp://a/1.png\t"a\t""b"""\n'
BAD_CSV = [
    'http://a/0.png,"a cat',
    "http://a/1.png,a cat,a dog",
    "http://a/2.png",
    b"http://a/3.png,\xff\xfe",
    "http://a/4.png," + "," * 30_000,
    "http://a/5.png," + "a" * MAX_LINE_CHARS,
]
GOOD_CSV = [('http://a/6.png,a 15" screen', 'a 15" screen'), ('http://a/7.png,""', None)]
BAD_JSONL = ['{"url": "http://a/0.png", "caption": "a c', '["http://a/1.png"]', "a cat", b'{"url": "\xff"}']
BAD_TSV = ["http://a/0.png\ta cat\ta dog", "http://a/1.png"]
GOOD_TSV = [('http://a/2.png\t"a cat', '"a cat'), ("http://a/3.png\t🍎", "🍎")]


def lines(*items: str | bytes) -> bytes:
    return b"\n".join(item if isinstance(item, bytes) else item.encode() for item in items)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All files of these tests."""
    folder = tmp_path_factory.mktemp("lists")
    for name, text in FILES.items():
        pack(folder / name, text)
    table = pa.table({"caption": CAPTIONS, "n": range(len(TABLE)), "url": [url for url, _ in TABLE]})
    for codec in ("snappy", "zstd", "gzip"):
        pq.write_table(table, folder / f"{codec}.parquet", compression=codec)
    broken = pa.array([b"a cat", b"\xff"], pa.binary())
    pq.write_table(
        pa.table({"url": ["http://a/0.png", "http://a/1.png"], "caption": broken}), folder / "bytes.parquet"
    )
    pack(folder / "bad.csv", lines("url,caption", *BAD_CSV, *(line for line, _ in GOOD_CSV)))
    pack(folder / "bad.tsv", lines("url\tcaption", *BAD_TSV, *(line for line, _ in GOOD_TSV)))
    pack(folder / "bad.jsonl", lines(*BAD_JSONL, '{"url": "http://a/4.png", "caption": 5}'))
    pack(folder / "quoted.tsv", QUOTED_TSV)
    pack(folder / "cc3m.tsv", "a cat\thttp://a/0.png\n")
    pack(folder / "cc12m.tsv", "http://a/0.png\ta cat\n")
    pack(folder / "wide.csv", "id,链接,中文,English,width\n7,http://a/0.png,猫,a cat,30\n")
    (folder / "parts").mkdir()
    pack(folder / "parts" / "a.csv", "url,caption\nhttp://a/0.png,a cat\n")
    pack(folder / "parts" / "b.csv.gz", "caption,url\na dog,http://a/1.png\n")
    pack(folder / "parts" / "c.jsonl", '{"url": "http://a/2.png", "caption": "a fish"}\n')
    pack(folder / "parts" / "_SUCCESS", "")
    pack(folder / "parts" / "empty.csv", "")
    return folder


WIDE = Layout(url="链接", zh="中文", en="English")
LISTS = {
    **{
        name: (name, "en") for name in [*FILES, *(f"{codec}.parquet" for codec in ("snappy", "zstd", "gzip"))]
    },
    **{name: (name, "en") for name in ("bad.csv", "bad.tsv", "bad.jsonl", "bytes.parquet")},
    "quoted.tsv": ("quoted.tsv", Layout(en="caption", quoted=True)),
    "cc3m.tsv": ("cc3m.tsv", "cc3m"),
    "cc12m.tsv": ("cc12m.tsv", "cc12m"),
    "wide.csv": ("wide.csv", WIDE),
    "parts": ("parts", "en"),
    "pattern": ("parts/[ab].csv*", "zh"),
}


@pytest.fixture(scope="module")
def rows(spark, folder) -> dict[str, list]:
    """The rows of each list in order of their URLs, all read in one go."""
    lists = [look_at(UrlList(str(folder / path), layout)) for path, layout in LISTS.values()]
    found: dict[str, list] = {name: [] for name in LISTS}
    for row in read_lists(spark, lists).collect():
        found[list(LISTS)[row["list"]]].append(row)
    return {name: sorted(items, key=lambda row: row["url"] or "") for name, items in found.items()}


TABLES = [
    name for name, (_, layout) in LISTS.items() if layout == "en" and name not in ("parts", "bytes.parquet")
]


@pytest.mark.parametrize("name", [name for name in TABLES if not name.startswith("bad.")])
def test_a_list_is_read_by_its_suffix_and_says_what_the_file_says(rows, name):
    found = [(row["url"], row["en"] or None, row["zh"], row["malformed"]) for row in rows[name]]
    assert found == [(url, caption, None, False) for url, caption in TABLE]


@pytest.mark.parametrize("name, bad", [("bad.csv", BAD_CSV), ("bad.tsv", BAD_TSV), ("bad.jsonl", BAD_JSONL)])
def test_a_malformed_row_costs_itself_and_is_shown(rows, name, bad):
    shown = {row["line"] for row in rows[name] if row["malformed"]}
    text = [line if isinstance(line, str) else line.decode(errors="replace") for line in bad]
    assert shown == {line[:500] for line in text}
    assert {row["url"] for row in rows[name] if row["malformed"]} == {None}


@pytest.mark.parametrize(
    "name, good", [("bad.csv", GOOD_CSV), ("bad.tsv", GOOD_TSV), ("bad.jsonl", [("", "5")])], ids=str
)
def test_rows_beside_malformed_ones_stay(rows, name, good):
    assert [row["en"] or None for row in rows[name] if not row["malformed"]] == [text for _, text in good]


def test_parquet_with_other_bytes_than_utf8_costs_the_row(rows):
    assert [(row["en"], row["malformed"]) for row in rows["bytes.parquet"]] == [
        (None, True),
        ("a cat", False),
    ]


@pytest.mark.parametrize("name", ["cc3m.tsv", "cc12m.tsv"])
def test_a_list_without_a_header_loses_no_first_row(rows, name):
    assert [(row["url"], row["en"]) for row in rows[name]] == [("http://a/0.png", "a cat")]


def test_quotes_of_tsv_count_where_the_layout_says_so(rows):
    assert [row["en"] for row in rows["quoted.tsv"]] == ['a\t"b"']


def test_a_list_may_have_both_languages_and_more_columns(rows):
    assert [(row["url"], row["zh"], row["en"]) for row in rows["wide.csv"]] == [
        ("http://a/0.png", "猫", "a cat")
    ]


def test_a_folder_is_all_its_lists_whatever_their_format_and_order_of_columns(rows):
    assert [row["en"] for row in rows["parts"]] == ["a cat", "a dog", "a fish"]


def test_a_pattern_is_all_it_fits(rows):
    assert [row["zh"] for row in rows["pattern"]] == ["a cat", "a dog"]


PACKED = gzip.compress("".join(f"http://a/{n}.png\tcaption {n * n}\n" for n in range(50_000)).encode())


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("cut.tsv.gz", PACKED[: len(PACKED) // 2], "EOFException: Unexpected end of input stream"),
        ("text.tsv.gz", b"http://a/0.png\ta cat\n", "gzip"),
        ("text.tsv.zst", b"http://a/0.png\ta cat\n", "(?i)zstd|magic|frame"),
    ],
)
def test_a_file_that_breaks_off_is_named_with_the_reason(spark, tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    parts = look_at(UrlList(str(tmp_path / name), "cc12m"))
    with pytest.raises(UnreadableFile, match=reason) as failure, naming_unreadable_files():
        read_lists(spark, [parts]).groupBy("malformed").count().collect()
    assert str(failure.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(failure.value)
