"""The demo's own images: crawled from the step's own loopback, which nobody else's list opens."""

import contextlib
import shutil
import socket
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from components.demo_site import demo_site, serve_folder
from components.download_pairs import crawl
from components.step import StepError
from components.url_lists import UrlList
from infra import object_store
from pipelines.demo import CORPUS, DemoCorpus, build_corpus, put_corpus
from pipelines.growth import without_none
from pipelines.recipes import RECIPES

ENGINES = {"spark_master": "local[2]"}
TINY = DemoCorpus(num_unseen=5, max_concepts=8, max_words=100, num_phrases=30, num_variants=20)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def corpus() -> DemoCorpus:
    return replace(TINY, port=free_port())


@pytest.fixture(scope="module")
def place(corpus, tmp_path_factory) -> Path:
    """The corpus as resolve_recipe puts it below a root."""
    root = tmp_path_factory.mktemp("root")
    put_corpus(corpus, str(root), "")
    return root / CORPUS


def sent(corpus: DemoCorpus) -> dict:
    """As a step gets it: KFP has no null, and makes floats of numbers."""
    return {
        name: float(value) if type(value) is int else value
        for name, value in without_none(asdict(corpus)).items()
    }


def lists_of(place: Path) -> tuple[UrlList, ...]:
    return tuple(UrlList(str(place / f"pairs.{lang}.csv"), lang) for lang in ("zh", "en"))


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_the_crawl_of_its_own_lists_finds_every_image(spark, corpus, place, tmp_path):
    """With the recipe's own settings: no private address is allowed."""
    shutil.rmtree(place / "images")
    config = replace(RECIPES["smoke"]().download_pairs, lists=lists_of(place), num_processes=1)
    facts = crawl(config, tmp_path, ENGINES, sent(corpus))["crawl"]
    urls = {url for each in lists_of(place) for url in pd.read_csv(each.path)["url"]}
    planted = {url for url in urls if any(kind in url for kind in ("/gone-", "/page-", "/lost-"))}
    assert facts["downloaded"] == len(urls - planted)
    assert not answers(corpus.port)


def test_the_lists_name_the_one_host_that_may_be_asked(corpus, place):
    with demo_site(sent(corpus), lists_of(place)) as hosts:
        assert hosts == (f"127.0.0.1:{corpus.port}",)
        assert answers(corpus.port)
    assert not answers(corpus.port)


def test_without_a_corpus_nothing_is_served():
    with demo_site(None, ()) as hosts:
        assert hosts == ()


@pytest.mark.parametrize("other", ["a list of one's own", "a row more", "beside them", "a folder", "none"])
def test_somebody_elses_list_opens_nothing(corpus, place, tmp_path, other):
    first, second = lists_of(place)
    own = tmp_path / "own.csv"
    row = f"http://127.0.0.1:{corpus.port}/secret,a secret\n"
    own.write_text((Path(first.path).read_text() if other == "a row more" else "url,caption\n") + row)
    strange = {"a folder": UrlList(str(place), "zh"), "none": UrlList("/no/such.csv", "zh")}
    lists = (first, second, UrlList(str(own), "zh"))
    if other != "beside them":
        lists = (strange.get(other, lists[2]), second)
    with demo_site(sent(corpus), lists) as hosts:
        assert hosts == ()
        assert not answers(corpus.port)


def test_a_strangers_list_does_not_read_the_step(spark, corpus, place, tmp_path):
    """A server of somebody else's on the demo's very port, and a list that knows of it."""
    own = tmp_path / "own.csv"
    own.write_text(f"url,caption\nhttp://127.0.0.1:{corpus.port}/pairs.en.csv,a secret\n")
    config = replace(RECIPES["smoke"]().download_pairs, lists=(UrlList(str(own), "en"),), num_processes=1)
    with serve_folder(place, corpus.port), pytest.raises(StepError, match="forbidden_address"):
        crawl(config, tmp_path / "place", ENGINES, sent(corpus))


def test_a_taken_port_is_named_with_advice(corpus, place):
    with serve_folder(place, corpus.port), pytest.raises(StepError) as failure:
        demo_site(sent(corpus), lists_of(place)).__enter__()
    assert f"port {corpus.port} on 127.0.0.1 is in use" in str(failure.value)
    assert f"--set corpus.port={corpus.port + 1}" in str(failure.value)


def test_a_corpus_in_a_bucket_is_put_there_once_without_its_images(bucket, s3, tmp_path, monkeypatch):
    put_corpus(TINY, f"{bucket}/runs", s3)
    names = {item.name for item in object_store.list_folder(f"{bucket}/runs/{CORPUS}", s3)}
    build_corpus(TINY, tmp_path / CORPUS)
    files = [path for path in (tmp_path / CORPUS).rglob("*") if path.is_file()]
    here = {path.relative_to(tmp_path / CORPUS).as_posix() for path in files}
    assert names == {name for name in here if not name.startswith("images/")}
    lists = object_store.read_bytes(f"{bucket}/runs/{CORPUS}/pairs.zh.csv", s3)
    assert lists == (tmp_path / CORPUS / "pairs.zh.csv").read_bytes()
    monkeypatch.setattr(object_store, "upload", lambda *_: pytest.fail("once is enough"))
    put_corpus(TINY, f"{bucket}/runs", s3)


def test_a_half_put_corpus_in_a_bucket_is_not_taken_for_whole(bucket, s3, monkeypatch):
    url = f"{bucket}/runs/{CORPUS}"
    put_corpus(TINY, f"{bucket}/runs", s3)
    real = object_store.upload

    def breaks(files, *rest):
        real(dict(list(files.items())[:1]), *rest)
        raise OSError("gone")

    monkeypatch.setattr(object_store, "upload", breaks)
    with pytest.raises(OSError, match="gone"):
        put_corpus(replace(TINY, max_concepts=4), f"{bucket}/runs", s3)
    assert object_store.read_bytes(f"{url}/done.json", s3) is None


def test_two_runs_may_put_it_at_once(tmp_path, monkeypatch):
    """The other is quicker by just so much."""
    place, rename = tmp_path / CORPUS, Path.rename

    def later(path, target):
        monkeypatch.setattr(Path, "rename", rename)
        build_corpus(TINY, place)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", later)
    build_corpus(TINY, place)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CORPUS]
    assert (place / "pairs.zh.csv").is_file()
