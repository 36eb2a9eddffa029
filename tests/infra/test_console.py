"""Marked lines: what a step says can be read, and found again among an engine's output."""

import pytest

from infra.console import MARKED, say, track


def test_say_marks_a_line_with_its_step(capsys):
    say("filter_pairs", "kept 3 of 5")
    assert capsys.readouterr().out == "[filter_pairs] kept 3 of 5\n"


def test_track_prints_whole_marked_lines(capsys):
    assert list(track("embed_pairs", range(3), seconds=0, desc="shards")) == [0, 1, 2]
    out = capsys.readouterr().out
    assert "\r" not in out
    lines = out.splitlines()
    assert all(line.startswith("[embed_pairs] shards ") for line in lines)
    assert "3/3" in lines[-1]


def test_track_says_nothing_new_before_its_time(capsys):
    list(track("embed_pairs", range(1000), seconds=3600, desc="shards"))
    first, last = capsys.readouterr().out.splitlines()
    assert "0/1000" in first
    assert "1000/1000" in last


@pytest.mark.parametrize(
    "line, found",
    [
        ("[filter_pairs] kept 3 of 5", ("filter_pairs", "kept 3 of 5")),
        ("    [align_student] step 10: loss 0.5", ("align_student", "step 10: loss 0.5")),
        ("(RayTrainWorker pid=71) [distill_student] step 1", ("distill_student", "step 1")),
        ("\x1b[36m(RayTrainWorker pid=71)\x1b[0m [distill_student] 2", ("distill_student", "2")),
        ("[embed_pairs] [zh] texts", ("embed_pairs", "[zh] texts")),
    ],
)
def test_marked_lines_are_found(line, found):
    assert MARKED.search(line).groups() == found


@pytest.mark.parametrize(
    "line",
    [
        "21:19:54 WARN Utils: Your hostname resolves to a loopback address",
        "[KFP Executor 2026-11-21 21:40:04,091 INFO]: Got executor_input:",
        "(pid=7) [repeated 3x across cluster]",
        "[torch.onnx] Obtain model graph",
        "values[0] = 3",
        "",
    ],
)
def test_other_lines_are_not(line):
    assert MARKED.search(line) is None
