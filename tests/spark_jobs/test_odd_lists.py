"""Lists as other tools and people leave them: escapes, lone carriage returns, odd separators, other types."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.list_files import look_at
from components.step import StepError
from components.url_lists import Layout, UrlList
from spark_jobs.url_lists import read_lists

MALFORMED = "malformed"
SPARK = Layout(en="caption", escape="\\")
# Characters that some readers take for the end of a line, of a field or of the input.
ODD = "\r\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufdd0\ufffe"
NO_CAPTION_CUT = [f"a{char}b" for char in ODD] + ["a\uffffb", "a\r\uffff\x00b"]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


# A CSV field as it stands in the file, and what it says: in a list without an escape, and in one with it.
QUOTES = [
    (r'"a sign that says \"stop\""', MALFORMED, 'a sign that says "stop"'),
    (r'"a sign, that says \"stop\""', MALFORMED, 'a sign, that says "stop"'),
    (r'"\"stop\""', MALFORMED, '"stop"'),
    (r'"ends in \\"', r"ends in \\", "ends in \\"),
    (r'"a \\\" b"', MALFORMED, r"a \" b"),
    (r'"a\b, c"', r"a\b, c", r"a\b, c"),
    (r"a\b", r"a\b", r"a\b"),
    ("ends in \\", "ends in \\", "ends in \\"),
    ('"say ""stop"""', 'say "stop"', MALFORMED),
    ('"""stop"""', '"stop"', MALFORMED),
    ('"say "stop" now"', MALFORMED, MALFORMED),
    ('"a" cat', MALFORMED, MALFORMED),
    ('"a cat', MALFORMED, MALFORMED),
    ('"a cat"""', 'a cat"', MALFORMED),
    ('a 15" screen', 'a 15" screen', 'a 15" screen'),
    ('a "small" cat', 'a "small" cat', 'a "small" cat'),
    ('"a, b"', "a, b", "a, b"),
    ('""', None, None),
    ('"', MALFORMED, MALFORMED),
    ("'a cat'", "'a cat'", "'a cat'"),
]
JSON_VALUES = [
    ('"a cat"', "a cat"),
    ('"[a] cat"', "[a] cat"),
    ('"{a} cat"', "{a} cat"),
    ('"true"', "true"),
    ("5", "5"),
    ("null", None),
    ('["a cat"]', MALFORMED),
    ("[]", MALFORMED),
    ('["a cat", "a small cat"]', MALFORMED),
    ('{"en": "a cat"}', MALFORMED),
    ("{}", MALFORMED),
    ("true", MALFORMED),
    ("false", MALFORMED),
    ("[" * 2_000 + "]" * 2_000, MALFORMED),
    ('"a cat" x', MALFORMED),
    *((json.dumps(f"a{char}b"), f"a{char}b") for char in ODD + "\n\uffff"),
    *((json.dumps(f"a{char}b", ensure_ascii=False), f"a{char}b") for char in "\x85\u2028\u2029\ufffe\uffff"),
]


def url(number: int) -> str:
    return f"http://a/{number:04}.png"


def table(fields: list[str], separator: str, end: str = "\n") -> str:
    rows = [url(number) + separator + field for number, field in enumerate(fields)]
    return end.join([f"url{separator}caption", *rows, ""])


# name: (content, layout, the captions by row)
TEXTS = {
    "quotes.csv": (table([field for field, *_ in QUOTES], ","), "en", [row[1] for row in QUOTES]),
    "escaped.csv": (table([field for field, *_ in QUOTES], ","), SPARK, [row[2] for row in QUOTES]),
    "odd.csv": (table(NO_CAPTION_CUT, ","), "en", NO_CAPTION_CUT),
    "odd-quoted.csv": (table([quoted(text) for text in NO_CAPTION_CUT], ","), "en", NO_CAPTION_CUT),
    "odd-escaped.csv": (table([quoted(text) for text in NO_CAPTION_CUT], ","), SPARK, NO_CAPTION_CUT),
    "odd.tsv": (table(NO_CAPTION_CUT, "\t"), "en", NO_CAPTION_CUT),
    "odd-crlf.tsv": (table(NO_CAPTION_CUT, "\t", "\r\n"), "en", NO_CAPTION_CUT),
    "old.tsv": (
        table(["a cat", "a\u2028dog", "a\x0bfish"], "\t", "\r"),
        "en",
        ["a cat", "a\u2028dog", "a\x0bfish"],
    ),
    "values.jsonl": (
        "".join(f'{{"url": "{url(n)}", "caption": {value}}}\n' for n, (value, _) in enumerate(JSON_VALUES)),
        "en",
        [text for _, text in JSON_VALUES],
    ),
}


def parquet(columns: dict[str, pa.Array | list]) -> bytes:
    """A file of these columns, which may share a name."""
    arrays = [pa.array(values) if isinstance(values, list) else values for values in columns.values()]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=[name.rstrip("'") for name in columns]), stream)
    return stream.getvalue()


NOTHING = {
    "null": pa.nulls(2),
    "nan": pa.array([float("nan"), None]),
    "lists": pa.nulls(2, pa.list_(pa.string())),
}
NOTHING |= {
    "int": pa.nulls(2, pa.int32()),
    "text": pa.nulls(2, pa.string()),
    "double": pa.nulls(2, pa.float64()),
}
SHARDS = {
    **{
        name: parquet({"url": [url(0), url(1)], "zh": values, "en": ["x", "y"]})
        for name, values in NOTHING.items()
    },
    "good": parquet({"url": [url(0), url(1)], "zh": ["猫", "狗"], "en": ["x", "y"]}),
    "lacking": parquet({"url": [url(0), url(1)], "en": ["x", "y"]}),
    "other order": parquet({"id": [1, 2], "en": ["x", "y"], "zh": ["猫", "狗"], "url": [url(0), url(1)]}),
    "other types": parquet(
        {
            "id": ["1", "2"],
            "url": [url(0), url(1)],
            "zh": [7, 8],
            "en": pa.array(["x", "y"], pa.large_string()),
        }
    ),
    "bytes": parquet(
        {
            "url": [b"http://a/0000.png", b"http://a/0001.png"],
            "zh": ["猫".encode(), "狗".encode()],
            "en": ["x", "y"],
        }
    ),
    "dictionary": parquet(
        {"url": [url(0), url(1)], "zh": pa.array(["猫", "狗"]).dictionary_encode(), "en": ["x", "y"]}
    ),
    "small ints": parquet(
        {"url": [url(0), url(1)], "zh": pa.array([7, 8], pa.uint8()), "en": pa.array([7, 8], pa.uint32())}
    ),
    "cases": parquet(
        {
            "URL": ["a", "b"],
            "url": [url(0), url(1)],
            "EN": ["v", "w"],
            "en": ["x", "y"],
            "Zh": ["r", "s"],
            "zh": ["猫", "狗"],
        }
    ),
    "moments": parquet(
        {
            "url": [url(0), url(1)],
            "zh": ["猫", "狗"],
            "en": ["x", "y"],
            "at": pa.array([1, 2], pa.timestamp("ns")),
        }
    ),
    "twins": parquet(
        {"url": [url(0), url(1)], "zh": ["猫", "狗"], "en": ["x", "y"], "id": [1, 2], "id'": [3, 4]}
    ),
}
WITHOUT_CHINESE = {*NOTHING, "lacking"}
NUMBERS = {"other types", "small ints"}


@pytest.fixture(scope="module")
def rows(spark, tmp_path_factory) -> dict[str, list]:
    """The rows of each text list, and of all shards of parquet as one list, read in one go."""
    folder = tmp_path_factory.mktemp("odd")
    lists = []
    for name, (content, layout, _) in TEXTS.items():
        (folder / name).write_bytes(content.encode())
        lists.append(look_at(UrlList(str(folder / name), layout)))
    for name, content in SHARDS.items():
        # As Spark names folders of partitions, each otherwise.
        (folder / "shards" / f"{name.replace(' ', '')}=1").mkdir(parents=True)
        (folder / "shards" / f"{name.replace(' ', '')}=1" / "part.parquet").write_bytes(content)
    lists.append(look_at(UrlList(str(folder / "shards"), "zh-en")))
    found: dict[str, list] = {name: [] for name in (*TEXTS, "shards")}
    for row in read_lists(spark, lists).collect():
        found[list(found)[row["list"]]].append(row)
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_a_caption_is_kept_whole_or_its_row_is_malformed(rows, name):
    expected = TEXTS[name][2]
    sound = {row["url"]: row["en"] or None for row in rows[name] if not row["malformed"]}
    assert sound == {url(number): text for number, text in enumerate(expected) if text != MALFORMED}
    assert sum(row["malformed"] for row in rows[name]) == expected.count(MALFORMED)


def test_shards_of_parquet_are_merged_by_name(rows):
    found = sorted((row["url"], row["zh"], row["en"]) for row in rows["shards"] if row["zh"])
    chinese = len(SHARDS) - len(WITHOUT_CHINESE)
    texts = chinese - len(NUMBERS)
    assert not any(row["malformed"] for row in rows["shards"])
    assert found == [
        *[(url(0), "7", "7")],
        *[(url(0), "7", "x")],
        *[(url(0), "猫", "x")] * texts,
        *[(url(1), "8", "8")],
        *[(url(1), "8", "y")],
        *[(url(1), "狗", "y")] * texts,
    ]


def test_a_shard_without_chinese_captions_has_none(rows):
    found = sorted((row["url"], row["zh"], row["en"]) for row in rows["shards"] if not row["zh"])
    assert found == [(url(n), None, "xy"[n]) for n in (0, 1) for _ in WITHOUT_CHINESE]


TWO = [url(0), url(1)]
NO_TEXT = {
    "list<": pa.array([["a cat"], ["a dog", "a small dog"]]),
    "large_string": pa.array([["a cat"], None], pa.large_list(pa.large_string())),
    "struct": pa.array([{"raw": "a cat"}, None]),
    "map": pa.array([[("en", "a cat")], None], pa.map_(pa.string(), pa.string())),
    "bool": pa.array([True, None]),
    "double": pa.array([0.5, None]),
    "timestamp": pa.array([1, None], pa.timestamp("ms")),
    "fixed_size_binary": pa.array([b"abcd", None], pa.binary(4)),
    "uint64": pa.array([1, None], pa.uint64()),
}


@pytest.mark.parametrize("kind", NO_TEXT)
def test_a_column_that_is_no_text_is_refused_with_its_type(tmp_path, kind):
    (tmp_path / "good.parquet").write_bytes(parquet({"url": TWO, "caption": ["a cat", "a dog"]}))
    (tmp_path / "shard.parquet").write_bytes(parquet({"url": TWO, "caption": NO_TEXT[kind]}))
    with pytest.raises(StepError, match=rf"shard\.parquet: column caption holds .*{kind}"):
        look_at(UrlList(str(tmp_path), "en"))


@pytest.mark.parametrize("value, kind", [('["a cat"]', "array"), ('{"a": 1}', "object"), ("true", "boolean")])
def test_a_jsonl_column_that_is_never_text_is_refused_with_its_type(tmp_path, value, kind):
    (tmp_path / "a.jsonl").write_text(f'{{"url": "http://a", "caption": {value}}}\n{{"url": "http://b"}}\n')
    with pytest.raises(StepError, match=rf"a\.jsonl: column caption holds {kind}, not text"):
        look_at(UrlList(str(tmp_path / "a.jsonl"), "en"))


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("a.parquet", parquet({"url": TWO, "caption": TWO, "url'": TWO}), "url; it has url, caption, url"),
        ("a.parquet", parquet({"url": TWO, "caption": TWO, "caption'": TWO}), "more than one column caption"),
        ("a.csv", b"url,caption,url\nu,c,v\n", "more than one column url; it has url, caption, url"),
        ("a.tsv", b"url\tcaption\t caption\nu\tc\tv\n", "more than one column caption"),
        ("a.jsonl", b'{"url": "u"}\n{"url": "u", "caption": "c", "url": "v"}\n', "more than one column url"),
        (
            "a.parquet",
            parquet({"URL": TWO, "Url": TWO, "caption": TWO}),
            "no column url; it has URL, Url, caption",
        ),
        ("a.csv", b"URL,caption\nu,c\n", "no column url; it has URL, caption"),
        ("a.parquet", parquet({"url": [1, 2], "caption": TWO}), "column url holds int64, not text"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused_with_file_and_columns(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StepError, match=rf"{name}: .*{reason}"):
        look_at(UrlList(str(tmp_path / name), "en"))


@pytest.mark.parametrize("escape", ["ab", '"', ",", "\t", " ", "a", "\\\\"])
def test_an_escape_is_one_sign(escape):
    with pytest.raises(ValueError, match="must be one sign"):
        Layout(en="caption", escape=escape)
