"""The Spark job against the same rules in pandas: every row of a made-up crawl gets the same reasons."""

import pyarrow.parquet as pq
import pytest

pytest.importorskip("wordfreq")

from spark_jobs.filter_pairs import judge, read_raw, write_judged
from spark_jobs.limits import CHINESE, ENGLISH, ImageLimits
from tests.benchmarks import pandas_rules
from tests.benchmarks.pair_table import PLANTED, make_shard

CAPTIONS = {"zh": CHINESE, "en": ENGLISH}
IMAGE = ImageLimits(min_bytes=0, min_sigma=0, min_entropy=0)
REASONS = ["reason", "zh_reason", "en_reason"]
NUM_ROWS = 3_000


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """The records of two shards, cut short."""
    folder = tmp_path_factory.mktemp("shards")
    for number in (0, 1):
        pq.write_table(make_shard(number).slice(0, NUM_ROWS // 2), folder / f"{number:05d}.parquet")
    return folder


@pytest.fixture(scope="module")
def judged(spark, shards):
    return judge(read_raw(spark, shards), shards, CAPTIONS, IMAGE, simplify=False).cache()


@pytest.fixture(scope="module")
def ours(judged):
    return judged.select("key", *REASONS).toPandas().set_index("key").sort_index()


def test_every_row_has_the_same_reasons(ours, shards):
    theirs = pandas_rules.judge(shards, CAPTIONS, IMAGE).set_index("key")[REASONS].sort_index()
    differ = (ours.fillna("") != theirs.fillna("")).any(axis=1)
    assert len(ours) == NUM_ROWS
    assert ours[differ].empty, theirs[differ]


@pytest.mark.parametrize("lang", PLANTED)
def test_what_was_planted_is_found(ours, lang):
    """Each kind of bad caption is there, so that the agreement above means something."""
    found = set(ours[f"{lang}_reason"].dropna())
    rules = ("missing", "too_short", "wrong_language", "file_name", "boilerplate", "phone", "url", "email")
    assert found >= {f"{lang}_{rule}" for rule in rules} - {f"{lang}_too_short"}


def test_placeholders_are_found(ours):
    assert (ours["reason"] == "placeholder_image").sum() > 10


def test_kept_and_dropped_make_up_the_input(judged, ours, tmp_path):
    facts = write_judged(judged, tmp_path)
    kept = pq.read_table(tmp_path / "kept.parquet").to_pandas()
    dropped = pq.read_table(tmp_path / "dropped.parquet").to_pandas()
    assert sorted([*kept["key"], *dropped["key"]]) == list(ours.index)
    assert (facts["input"], facts["kept"]) == (NUM_ROWS, len(kept))
    assert facts["dropped"] == dropped["reason"].value_counts().to_dict()
    assert facts["captions"] == {lang: int(kept[lang].notna().sum()) for lang in CAPTIONS}
