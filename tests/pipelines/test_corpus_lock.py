"""Two runs below one root: the same corpus is shared, another is not put in its place."""

from dataclasses import replace

import pytest

from components.step import StepError
from infra.store import read_done
from pipelines.corpus_lock import corpus_kept
from pipelines.demo import CORPUS, DemoCorpus, made_of

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
