"""`dcclip estimate` prints hours and money, and says what is wrong with what it is asked."""

import pytest


def test_it_prints_the_arithmetic(dcclip):
    _, out, _ = dcclip("estimate", "--pairs", "10e6", "--gpus", "16")
    assert "| embed_pairs | pairs | 4,783,800 | 210 a gpu | 6.3 | 0.4 |" in out
    assert "days on 64 cores and 16 GPUs" in out


def test_another_recipe_trains_for_another_time(dcclip):
    _, out, _ = dcclip("estimate", "--pairs", "10e6", "--set", "distill_student.phases.0.num_steps=0")
    assert "| distill, align | pairs seen | 409,600,000 |" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--pairs", "0"], "at least 1"),
        (["--pairs", "nan"], "at least 1"),
        (["--pairs", "inf"], "at least 1"),
        (["--pairs", "1e6", "--gpus", "0"], "at least 1"),
        (["--pairs", "1e6", "--gpu", "abacus"], "there is a100"),
        (["--pairs", "1e6", "--rates", "nowhere.toml"], "cannot read the rates in nowhere.toml"),
    ],
)
def test_what_is_wrong_is_one_line(dcclip, options, told):
    status, _, _ = dcclip("estimate", *options)
    assert told in str(status)
    assert "\n" not in str(status)
