"""Checkpoints: whole ones are read, half ones and those without a hash are not, the newest whole one wins."""

import pytest
import torch

from training.checkpoints import newest_whole, read_checkpoint, write_checkpoint

STATE = {"phase": "a", "step": 20, "model": {"weight": torch.arange(4.0)}}


def checkpoint(parent, name: str, step: int):
    folder = parent / name
    folder.mkdir()
    write_checkpoint({**STATE, "step": step}, folder)
    return folder


def test_a_state_comes_back_as_it_was(tmp_path):
    write_checkpoint(STATE, tmp_path)
    state = read_checkpoint(tmp_path)
    assert (state["phase"], state["step"]) == ("a", 20)
    assert state["model"]["weight"].equal(STATE["model"]["weight"])


def cut(folder):
    file = folder / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-1])


def flip(folder):
    file = folder / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def no_hash(folder):
    (folder / "checkpoint.sha256").unlink()


def no_state(folder):
    (folder / "checkpoint.pt").unlink()


@pytest.mark.parametrize("harm", [cut, flip, no_hash, no_state])
def test_a_checkpoint_that_is_not_whole_is_left_for_the_one_before(harm, tmp_path):
    checkpoint(tmp_path, "checkpoint_1", 20)
    newest = checkpoint(tmp_path, "checkpoint_2", 40)
    assert newest_whole(newest)[0]["step"] == 40
    harm(newest)
    state, broken = newest_whole(newest)
    assert (state["step"], broken) == (20, ["checkpoint_2"])


def test_one_that_came_after_is_not_looked_at(tmp_path):
    first = checkpoint(tmp_path, "checkpoint_1", 20)
    checkpoint(tmp_path, "checkpoint_2", 40)
    assert newest_whole(first)[0]["step"] == 20


def test_nothing_whole_is_a_fresh_start(tmp_path):
    assert newest_whole(None) == (None, [])
    only = checkpoint(tmp_path, "checkpoint_1", 20)
    cut(only)
    assert newest_whole(only) == (None, ["checkpoint_1"])


def test_a_pickle_is_not_opened(tmp_path):
    write_checkpoint({"step": 1, "evil": print}, tmp_path)
    with pytest.raises(Exception, match="[Ww]eights"):
        read_checkpoint(tmp_path)
