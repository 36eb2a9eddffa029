"""Opening a teacher's directory."""

import pytest

from infra.store import write_json
from training.teacher import CARD, load_teacher


def test_an_unknown_kind_is_refused(tmp_path):
    write_json(tmp_path / CARD, {"kind": "oracle"})
    with pytest.raises(
        ValueError, match=r"teacher\.json: unknown kind of teacher 'oracle', expected lit, hf or ensemble"
    ):
        load_teacher(tmp_path)


def test_a_folder_without_a_card_is_no_teacher(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"teacher\.json"):
        load_teacher(tmp_path)
