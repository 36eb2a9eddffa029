"""What a recipe says of its lists, and the step that merges them: names, errors, reruns."""

import json
from pathlib import Path

import pandas as pd
import pytest

from components.download_pairs import DownloadPairs
from components.step import StepError, build
from components.url_lists import MERGED, PRESETS, Layout, UrlList, list_names, merge_url_lists

ENGINES = {"spark_master": "local[2]"}


@pytest.mark.parametrize(
    "paths, names",
    [
        (["lists/wukong.csv", "lists/cc12m.tsv"], ("wukong.csv", "cc12m.tsv")),
        (["lists/wukong/*.csv", "/data/laion/**/*.parquet"], ("wukong", "laion")),
        (["lists/wukong"], ("wukong",)),
        (["a/pairs.csv", "b/pairs.csv", "c.csv"], ("a/pairs.csv", "b/pairs.csv", "c.csv")),
    ],
)
def test_a_list_is_called_by_the_shortest_name_that_is_its_own(paths, names):
    assert list_names(tuple(map(UrlList, paths))) == names


def test_a_name_in_the_recipe_wins():
    assert list_names((UrlList("a/pairs.csv", "zh", name="mine"), UrlList("b/pairs.csv"))) == (
        "mine",
        "pairs.csv",
    )


@pytest.mark.parametrize(
    "layout", [*PRESETS, Layout(url="link", zh="alt", names=("alt", "link"), quoted=True)]
)
def test_a_list_survives_its_way_through_json(layout):
    source = UrlList("lists/a.csv", layout)
    values = {"path": "lists/a.csv", "layout": layout if isinstance(layout, str) else layout.__dict__}
    assert build(UrlList, json.loads(json.dumps(values))) == source


@pytest.mark.parametrize(
    "layout, reason",
    [("cc13m", "no layout 'cc13m'; choose one of .*cc12m"), (Layout(), "no column with captions")],
)
def test_a_layout_that_is_none_is_refused_at_once(layout, reason):
    with pytest.raises(ValueError, match=f"a.csv: .*{reason}"):
        UrlList("a.csv", layout)


def list_of(file: Path, rows: list[tuple[str, str]]) -> UrlList:
    """An English CSV list with these rows."""
    pd.DataFrame(rows, columns=["url", "caption"]).to_csv(file, index=False)
    return UrlList(str(file), "en")


def test_a_rerun_finds_its_urls_as_they_were(spark, tmp_path):
    config = DownloadPairs((list_of(tmp_path / "en.csv", [("http://a/1.png", "a cat"), ("", "a dog")]),))
    facts = merge_url_lists(config, tmp_path, ENGINES)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "urls").iterdir()}
    assert merge_url_lists(config, tmp_path, {"spark_master": "nowhere"}) == facts
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "urls").iterdir()} == before


def test_what_a_killed_merge_left_is_written_anew(spark, tmp_path):
    config = DownloadPairs((list_of(tmp_path / "en.csv", [("http://a/1.png", "a cat")]),))
    (tmp_path / "urls").mkdir()
    (tmp_path / "urls" / "part-00000-half.parquet").write_bytes(b"PAR1")
    merge_url_lists(config, tmp_path, ENGINES)
    assert pd.read_parquet(tmp_path / "urls")["url"].tolist() == ["http://a/1.png"]


@pytest.mark.parametrize(
    "rows, reason",
    [
        ([("http://a/1.png", ""), ("", "a cat"), ("", "a dog")], "2 no_url, 1 no_caption$"),
        ([("http://a/1.png", "x" * 1_001)], "1 en_too_long$"),
        ([], "they are empty$"),
    ],
)
def test_lists_without_a_usable_row_end_the_step_with_the_reasons(spark, tmp_path, rows, reason):
    config = DownloadPairs((list_of(tmp_path / "en.csv", rows),))
    with pytest.raises(StepError, match=f"no row of the URL lists has both a URL and a caption: {reason}"):
        merge_url_lists(config, tmp_path, ENGINES)
    assert not (tmp_path / MERGED).exists()


def test_no_list_at_all_is_named(tmp_path):
    with pytest.raises(StepError, match="names no URL list; give download_pairs.lists"):
        merge_url_lists(DownloadPairs(()), tmp_path, ENGINES)


def test_a_file_that_breaks_off_ends_the_step(spark, tmp_path):
    (tmp_path / "cut.tsv.gz").write_bytes(b"this is no gzip at all")
    config = DownloadPairs((UrlList(str(tmp_path / "cut.tsv.gz"), "cc12m"),))
    with pytest.raises(StepError, match=rf"^cannot read the URL list {tmp_path}/cut.tsv.gz: .*gzip.*$"):
        merge_url_lists(config, tmp_path, ENGINES)
