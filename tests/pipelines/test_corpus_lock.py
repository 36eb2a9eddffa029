"""Two runs below one root: the same corpus is shared, another is not put in its place."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from components.step import StepError
from infra.store import read_done
from pipelines import corpus_lock
from pipelines.corpus_lock import corpus_kept
from pipelines.demo import CORPUS, DemoCorpus, build_corpus, made_of

TINY = DemoCorpus(5, max_concepts=5, max_words=20, num_phrases=5, num_variants=5)
OTHER = replace(TINY, port=8766)


def test_runs_of_one_corpus_share_it_and_another_waits_for_their_end(tmp_path):
    with corpus_kept(TINY, tmp_path), corpus_kept(TINY, tmp_path):
        with (
            pytest.raises(StepError, match="another run uses .*corpus.* --root"),
            corpus_kept(OTHER, tmp_path),
        ):
            pass
        assert read_done(tmp_path / CORPUS) == made_of(TINY)
    with corpus_kept(OTHER, tmp_path):
        assert read_done(tmp_path / CORPUS) == made_of(OTHER)


def test_lists_of_ones_own_need_none(tmp_path):
    with corpus_kept(None, tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_runs_that_begin_at_once_make_their_corpus_once(tmp_path, monkeypatch):
    made, begun = [], threading.Barrier(3)

    def build_slowly(corpus, place):
        made.append(place)
        threading.Event().wait(0.2)
        build_corpus(corpus, place)

    def run():
        begun.wait()
        with corpus_kept(TINY, tmp_path):
            return read_done(tmp_path / CORPUS)

    monkeypatch.setattr(corpus_lock, "build_corpus", build_slowly)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(run) for _ in range(3)]
    assert [run.result() for run in runs] == [made_of(TINY)] * 3
    assert len(made) == 1
