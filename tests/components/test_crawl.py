"""Crawls of a site on loopback that are killed, refused, told to wait, and done by several engines."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from crawl_process import CONFIG, outcome, started, whole_rows, write_urls
from crawl_site import counts_of, running

from components import crawl, crawl_records
from components.crawl_guard import main
from components.download_pairs import DownloadPairs
from components.step import StepError


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a site that counts."""
    with running() as address:
        yield address


def in_this_process(processes_count, downloader, shards, *_) -> None:
    """A distributor for img2dataset; starting a worker takes seconds."""
    assert all(downloader(shard)[0] for shard in shards)


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Crawls without worker processes."""
    monkeypatch.setattr(main, "multiprocessing_distributor", in_this_process)


def killed_when(reached: Callable[[Path], bool], config: DownloadPairs, urls: Path, place: Path) -> None:
    """Start a crawl and kill all of it when its shards have come so far."""
    process = started(config, urls, place)
    while not reached(place / "shards"):
        assert process.poll() is None, "the crawl ended by itself"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def half_written(shards: Path, first: int) -> list[int]:
    """Shards begun and not finished."""
    begun = {int(file.stem) for file in shards.glob("*.tar")}
    return sorted(number for number in begun - set(crawl_records.shard_numbers(shards)) if number >= first)


def test_a_crawl_that_was_killed_asks_nothing_of_finished_shards_again(site, tmp_path):
    paths = [f"/{number}.jpg" for number in range(1000, 1048)]
    urls = [f"{site}{path}?slow=0.1" for path in paths]
    lists = write_urls(tmp_path, urls, files=2)
    middle = lambda shards: len(list(shards.glob("*.json"))) >= 2 and half_written(shards, 0)  # noqa: E731
    killed_when(middle, CONFIG, lists, tmp_path)
    finished = crawl_records.shard_numbers(tmp_path / "shards")
    begun = half_written(tmp_path / "shards", 0)
    before = counts_of(site)
    counts = outcome(started(CONFIG, lists, tmp_path))
    rows, after = whole_rows(tmp_path / "shards", urls), counts_of(site)
    shards = rows["key"].str[:5].astype(int)
    assert counts["downloaded"] == 48
    assert {after[path] - before[path] for path in rows.index[shards.isin(finished)]} == {0}
    assert {after[path] - before.get(path, 0) for path in rows.index[shards.isin(begun)]} == {1}
    assert set(finished) & set(begun) == set()


def test_a_round_of_retries_that_was_killed_is_gone_on_with(site, tmp_path):
    urls = [f"{site}/{number}.jpg?slow=0.1&status=503&times=1" for number in range(1100, 1148)]
    lists = write_urls(tmp_path, urls)
    config = replace(CONFIG, retry_rounds=1)
    middle = lambda shards: crawl_records.shard_numbers(shards, 6) and half_written(shards, 6)  # noqa: E731
    killed_when(middle, config, lists, tmp_path)
    finished, before = crawl_records.shard_numbers(tmp_path / "shards", 6), counts_of(site)
    counts = outcome(started(config, lists, tmp_path))
    rows, after = whole_rows(tmp_path / "shards", urls), counts_of(site)
    again = rows[rows["key"].str[:5].astype(int).isin(finished)].index
    assert counts["downloaded"] == 48
    assert {after[path] for path in again} == {before[path] for path in again} == {2}


ANSWERS = {
    "/1.jpg": ("", None, 1),
    "/2.jpg": ("?status=503&times=1", None, 2),
    "/3.jpg": ("?status=429&times=2", None, 3),
    "/4.jpg": ("?status=500", "HTTP Error 500: Internal Server Error", 3),
    "/5.jpg": ("?status=404", "HTTP Error 404: Not Found", 1),
    "/6.jpg": ("?tag=noai", "Use of image disallowed by X-Robots-Tag directive", 1),
}


def asked_since(site: str, before: dict[str, int], paths) -> dict[str, int]:
    """How often each path was asked for since."""
    after = counts_of(site)
    return {path: after.get(path, 0) - before.get(path, 0) for path in paths}


def test_only_failures_that_may_pass_are_crawled_again(tmp_path, at_once):
    interrupt = signal.getsignal(signal.SIGINT)
    with running() as site:
        urls = [f"{site}{path}{query}" for path, (query, _, _) in ANSWERS.items()]
        config = replace(CONFIG, retry_rounds=2, pairs_per_shard=4)
        counts = crawl.crawl_urls(config, write_urls(tmp_path, urls), tmp_path, {})
        asked = counts_of(site)
    rows = whole_rows(tmp_path / "shards", urls)
    assert signal.getsignal(signal.SIGINT) is interrupt
    assert asked == {path: times for path, (_, _, times) in ANSWERS.items()}
    assert rows["error_message"].to_dict() == {path: message for path, (_, message, _) in ANSWERS.items()}
    assert rows["zh"].to_dict() == {path: f"图{number}" for number, path in enumerate(ANSWERS)}
    assert (counts["urls"], counts["downloaded"], counts["success_rate"]) == (6, 3, 0.5)
    assert counts["failures"] == {"server_error": 1, "http_error": 1, "opted_out": 1}


@pytest.mark.parametrize("cut_off", ["take_out", "_pause", "_download"])
def test_a_round_goes_on_wherever_it_was_cut_off(tmp_path, at_once, monkeypatch, cut_off):
    def fail(*arguments):
        if cut_off != "_download" or (tmp_path / "retries").exists():
            raise KeyboardInterrupt
        return real(*arguments)

    owner = crawl_records if cut_off == "take_out" else crawl
    real, config = getattr(owner, cut_off), replace(CONFIG, retry_rounds=1)
    with running() as site:
        urls = [f"{site}/1.jpg", f"{site}/2.jpg?status=503&times=1"]
        lists = write_urls(tmp_path, urls)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, cut_off, fail)
            crawl.crawl_urls(config, lists, tmp_path, {})
        for _ in range(2):
            assert crawl.crawl_urls(config, lists, tmp_path, {})["downloaded"] == 2
        assert counts_of(site) == {"/1.jpg": 1, "/2.jpg": 2}
    whole_rows(tmp_path / "shards", urls)


def test_statistics_cut_off_or_a_row_lost_make_a_shard_anew(tmp_path, at_once):
    with running() as site:
        urls = [f"{site}/{number}.jpg" for number in range(24)]
        lists = write_urls(tmp_path, urls)
        crawl.crawl_urls(CONFIG, lists, tmp_path, {})
        stats = tmp_path / "shards" / "00000_stats.json"
        stats.write_text(stats.read_text()[:20])
        second = tmp_path / "shards" / "00001.parquet"
        pd.read_parquet(second)[1:].to_parquet(second)
        crawl.crawl_urls(CONFIG, lists, tmp_path, {})
        times = counts_of(site)
    assert [times[f"/{number}.jpg"] for number in range(24)] == [2] * 16 + [1] * 8
    whole_rows(tmp_path / "shards", urls)


def test_a_server_that_died_leaves_no_finished_shard(tmp_path, monkeypatch):
    """What a dead server did not answer stayed as a fact, and a model learned from what was left."""
    monkeypatch.setattr(
        main, "multiprocessing_distributor", lambda _, load, shards, *rest: [*map(load, shards)]
    )
    with running() as site:
        urls = [f"{site}/{number}.jpg" for number in range(6)]
    lists = write_urls(tmp_path, urls)
    with pytest.raises(StepError, match="6 URLs are in shards .* most hosts had no answer"):
        crawl.crawl_urls(CONFIG, lists, tmp_path, {})
    assert crawl_records.shard_numbers(tmp_path / "shards") == []
    with pytest.raises(StepError, match="none of the URLs gave an image: .* Most often: no_answer"):
        crawl.crawl_urls(replace(CONFIG, max_unanswered_share=1.0), lists, tmp_path, {})
    whole_rows(tmp_path / "shards", urls)


@pytest.mark.parametrize("longest, waited", [(60.0, [9]), (5.0, [5.0]), (0.0, [])])
def test_a_pause_that_hosts_ask_for_is_kept_up_to_a_bound(tmp_path, at_once, monkeypatch, longest, waited):
    naps: list[float] = []
    monkeypatch.setattr(crawl, "time", SimpleNamespace(sleep=naps.append))
    config = replace(CONFIG, retry_rounds=1, max_pause_seconds=longest)
    with running() as site:
        urls = [f"{site}/1.jpg?status=429&times=1&pause=9", f"{site}/2.jpg?status=503&times=1&pause=3"]
        crawl.crawl_urls(config, write_urls(tmp_path, urls), tmp_path, {})
    assert naps == waited


@pytest.mark.parametrize(
    "tag, token, reason",
    [
        ("noai", "", "opted_out"),
        ("noindex, noimageai", "", "opted_out"),
        ("none", "", "opted_out"),
        ("ourbot: noai", "OurBot", "opted_out"),
        ("ourbot: noai", "", None),
        ("otherbot: noai", "OurBot", None),
        ("max-snippet: 3", "", None),
    ],
)
def test_opt_out_headers_are_honoured_and_counted(site, tmp_path, at_once, tag, token, reason):
    urls = [f"{site}/1.jpg", f"{site}/2.jpg?tag={tag}".replace(" ", "%20")]
    config = replace(CONFIG, user_agent_token=token)
    counts = crawl.crawl_urls(config, write_urls(tmp_path, urls), tmp_path, {})
    assert counts["failures"] == ({reason: 1} if reason else {})


def test_a_host_is_not_asked_more_often_than_allowed(site, tmp_path):
    """Two processes of eight threads, so that a bound of each for itself would show."""
    urls = [f"{site}/{number}.jpg" for number in range(1200, 1240)]
    config = replace(CONFIG, num_threads=8, max_requests_per_second_per_host=20.0)
    before = counts_of(site)
    counts = json.loads(
        started(config, write_urls(tmp_path, urls), tmp_path).communicate()[0].splitlines()[-1]
    )
    assert counts["downloaded"] == 40
    assert set(asked_since(site, before, [f"/{number}.jpg" for number in range(1200, 1240)]).values()) == {1}
    assert counts["seconds"] >= 39 / 20


@pytest.mark.parametrize("distributor", ["pyspark", "ray"])
def test_the_guard_is_at_work_in_the_workers_of_an_engine(tmp_path, distributor):
    config = replace(CONFIG, distributor=distributor)
    with running() as site:
        urls = [f"{site}/{number}.jpg" for number in range(16)]
        lists = write_urls(tmp_path, urls)
        refused = started(replace(config, allow_private_addresses=False), lists, tmp_path / "refused")
        refused.communicate()
        rows = whole_rows(tmp_path / "refused" / "shards", urls)
        assert set(rows["error_message"].str.split(":").str[0]) == {"forbidden_address"}
        assert (refused.returncode, counts_of(site)) == (1, {})
        assert outcome(started(config, lists, tmp_path / "allowed"))["downloaded"] == 16
    whole_rows(tmp_path / "allowed" / "shards", urls)


def test_an_unknown_distributor_is_named(tmp_path):
    lists = write_urls(tmp_path, ["http://a.test/1.jpg"])
    with pytest.raises(StepError, match="no distributor 'slurm'; choose one of multi"):
        crawl.crawl_urls(replace(CONFIG, distributor="slurm"), lists, tmp_path, {})
