"""A made-up crawl of any size: img2dataset's records with captions in both languages, good and bad.

Captions are words drawn as often as people use them (wordfreq), 4 to 16 of them; known shares of the rows get
what the filter rules look for. The same numbers give the same table, and a shard does not depend on others.
"""

from functools import cache
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

ROWS_PER_SHARD = 10_000
TEXTS = ("key", "url", "zh", "en", "status", "error_message", "sha256")
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), ("width", pa.int32()), ("height", pa.int32())])
GLUE = {"zh": "", "en": " "}
# What stands in place of a caption, and in what share of the rows.
PLANTED = {
    "zh": {
        "a cat on a sofa in the living room": 0.03,
        "かわいい猫がソファで寝ています": 0.01,
        "微信图片_20230401": 0.01,
        "点击查看大图": 0.02,
        "图片": 0.01,
        "猫": 0.02,
        "联系电话13800138000 欢迎来电咨询": 0.01,
        "更多内容请看 www.example.com 官方网站": 0.02,
        "邮箱 cats@example.edu 期待您的来信": 0.005,
        "一只猫&amp;amp;<b>一只狗</b><br>坐在&#27801;&#x53d1;上": 0.01,
        "联系电话１３８００１３８０００\u3000欢迎来电": 0.005,
    },
    "en": {
        "一只可爱的猫坐在沙发上": 0.03,
        "кот сидит на диване": 0.01,
        "IMG_1234.JPG": 0.02,
        "Click here to see more": 0.02,
        "image": 0.01,
        "cat": 0.02,
        "call us today on (202) 555-0123": 0.01,
        "see more pictures on https://example.org/cats": 0.02,
        "write to cats@example.edu for more": 0.005,
        "Tom &amp; <b class='x'>Jerry</b>&nbsp;on a sofa": 0.01,
        "❤️ ❤️ ❤️ ❤️ ❤️ ❤️": 0.005,
    },
}
SHARE_MISSING = 0.3
ERRORS = (
    "HTTP Error 404: Not Found",
    "<urlopen error timed out>",
    "Image decoding error",
    "Connection reset",
)
SHARE_FAILED = 0.25
SHARE_COPIES = 0.05
SHARE_SMALL = 0.05
SHARE_PLACEHOLDER = 0.01


@cache
def words_of(lang: str) -> tuple[np.ndarray, np.ndarray]:
    """(the 20,000 most frequent words, how likely each is)."""
    from wordfreq import get_frequency_dict, top_n_list

    frequencies = get_frequency_dict(lang)
    words = [word for word in top_n_list(lang, 20_000) if not word.isnumeric()]
    shares = np.array([frequencies[word] for word in words])
    return np.array(words, dtype=object), shares / shares.sum()


def make_captions(lang: str, num: int, draw: np.random.Generator) -> np.ndarray:
    """Captions as one list has them; None where this language has none."""
    words, shares = words_of(lang)
    lengths = draw.integers(4, 17, num)
    ends = lengths.cumsum()
    drawn = words[np.searchsorted(shares.cumsum(), draw.random(ends[-1]) * 0.999999)]
    parts = zip(ends - lengths, ends, strict=True)
    captions = np.array([GLUE[lang].join(drawn[start:end]) for start, end in parts], dtype=object)
    planted = PLANTED[lang]
    edges = np.cumsum([*planted.values(), SHARE_MISSING])
    kinds = np.searchsorted(edges, draw.random(num))
    instead = np.array([*planted, None, ""], dtype=object)
    return np.where(kinds < len(edges), instead[kinds], captions)


def make_shard(number: int) -> pa.Table:
    """The records of one shard."""
    num, draw = ROWS_PER_SHARD, np.random.default_rng(number)
    first = number * num
    keys = [f"{number:05d}{place:04d}" for place in range(num)]
    failed = draw.random(num) < SHARE_FAILED
    # A copy has the content of a picture that stands somewhere before it.
    content = np.arange(first, first + num)
    content = np.where(draw.random(num) < SHARE_COPIES, draw.integers(0, first + num, num), content)
    content = np.where(draw.random(num) < SHARE_PLACEHOLDER, 0, content)
    sides = draw.integers(200, 257, (num, 2))
    sides[draw.random(num) < SHARE_SMALL, 0] = 50
    columns = {
        "key": keys,
        "url": [f"http://host-{place % 1000}.example/pictures/{key}.jpg" for place, key in enumerate(keys)],
        **{lang: make_captions(lang, num, draw) for lang in GLUE},
        "status": np.where(failed, "failed_to_download", "success"),
        "error_message": np.where(failed, draw.choice(ERRORS, num), None),
        "sha256": [None if bad else f"{item:064x}" for bad, item in zip(failed, content, strict=True)],
        "width": pa.array(sides[:, 0], pa.int32(), mask=failed),
        "height": pa.array(sides[:, 1], pa.int32(), mask=failed),
    }
    return pa.table(columns, SCHEMA)


def write_table(folder: Path, num_rows: int) -> Path:
    """Write the shards' records below `folder`, unless they are there; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {number: folder / f"{number:05d}.parquet" for number in range(num_rows // ROWS_PER_SHARD)}
    waiting = [(number, path) for number, path in paths.items() if not path.exists()]
    with Pool() as pool, tqdm(total=len(waiting), unit="shard", desc=f"{num_rows:,} rows") as bar:
        for _ in pool.imap_unordered(_write_shard, waiting):
            bar.update()
    return folder


def _write_shard(number_and_path: tuple[int, Path]) -> None:
    number, path = number_and_path
    pq.write_table(make_shard(number), path)
