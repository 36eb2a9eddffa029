"""The end of a run: tables for a person, figure lines for a program, from a made-up run."""

from pathlib import Path

import pytest

from infra.store import write_json
from pipelines.local import LocalRun
from pipelines.resolve import DATA_STEPS, STEPS
from pipelines.summary import exam_table, figures, print_summary, step_table

RESULTS = {
    "num_classes": 313,
    "models": {
        "teacher": {"en": {"top1": 0.3, "top5": 0.5}, "zh": {"top1": 0.25, "top5": 0.45}},
        "student": {"en": {"top1": 0.21234, "top5": 0.4}, "zh": {"top1": 0.2, "top5": 0.375}},
        "chance": {"en": {"top1": 1 / 313, "top5": 5 / 313}, "zh": {"top1": 1 / 313, "top5": 5 / 313}},
    },
    "student": {"parameters": 10_321_805, "megabytes": 41.4},
}
REGISTERED = {"model": "dcclip", "version": 2.0, "alias": "champion", "reason": "the first version"}


def made_up_run(root: Path, reused: tuple[str, ...]) -> LocalRun:
    """A run whose step number n took n seconds and n hundred MB."""
    records = {
        step: {"seconds": float(n), "peak_megabytes": 100.0 * n, "reused": step in reused, "facts": {}}
        for n, step in enumerate(STEPS, 1)
    }
    records["register_student"]["facts"] = REGISTERED
    places = {step: str(root / step) for step in STEPS}
    for step in ("evaluate_student", "register_student"):
        (root / step).mkdir(parents=True)
    write_json(root / "evaluate_student" / "results.json", RESULTS)
    return LocalRun(records, places, 61.26, root / "run.log")


@pytest.fixture
def run(tmp_path) -> LocalRun:
    """A run whose first step was done before."""
    return made_up_run(tmp_path, reused=("download_pairs",))


def test_the_step_table_has_a_line_a_step(run):
    head, first, *_, last = step_table(run)
    assert head.split() == ["step", "seconds", "peak", "MB"]
    assert first.split(maxsplit=3) == ["download_pairs", "1", "100", "(done before)"]
    assert last.split() == ["register_student", "10", "1000"]
    assert len(step_table(run)) == 11


def test_the_exam_table_has_both_languages():
    _, _, *lines = exam_table(RESULTS)
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    assert cells["teacher"] == ["30.0%", "50.0%", "25.0%", "45.0%"]
    assert cells["student"] == ["21.2%", "40.0%", "20.0%", "37.5%"]
    assert cells["chance"] == ["0.3%", "1.6%", "0.3%", "1.6%"]


def test_columns_of_the_exam_table_end_together():
    assert len({len(line) for line in exam_table(RESULTS)}) == 1


def test_figures_have_names_and_rounded_values(run):
    assert figures(run, RESULTS) == {
        "teacher_top1_en": 0.3,
        "teacher_top1_zh": 0.25,
        "student_top1_en": 0.2123,
        "student_top1_zh": 0.2,
        "chance": 0.00319,
        "num_unseen_concepts": 313,
        "student_parameters": 10_321_805,
        "run_seconds": 61.3,
        "peak_memory_megabytes": 1000,
    }


def test_the_summary_names_what_was_made(run, tmp_path, capsys):
    print_summary(run, str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    report = tmp_path / "register_student" / "report.html"
    assert "student      10.32 million parameters, 41.4 MB" in lines
    assert "registered   dcclip version 2, champion" in lines
    assert f"report       {report}" in lines
    assert "figure student_top1_en 0.2123" in lines
    assert lines[-2:] == [f"student {tmp_path / 'align_student' / 'student'}", f"report {report}"]
    assert not any("Nothing to do" in line for line in lines)


def test_a_run_that_found_all_done_says_so(tmp_path, capsys):
    print_summary(made_up_run(tmp_path, reused=STEPS), str(tmp_path))
    assert "Nothing to do: all 10 steps were done before" in capsys.readouterr().out


DATA_FACTS = {
    "download_pairs": {
        "crawl": {"urls": 9.0, "downloaded": 7.0},
        "known": {"version": 2.0, "new": 3.0, "retried": 1.0, "reused": 4.0, "failed": 1.0, "gone": 0.0},
    },
    "embed_pairs": {"reused": {"images": 4.0, "captions": 8.0, "texts": 5.0}},
    "select_pairs": {"kept": 6.0},
}


def test_a_run_of_the_data_steps_tells_what_is_new(tmp_path, capsys):
    run = made_up_run(tmp_path, reused=())
    records = {step: {**run.records[step], "facts": DATA_FACTS.get(step, {})} for step in DATA_STEPS}
    print_summary(LocalRun(records, run.places, 9.0, run.log), str(tmp_path))
    printed = capsys.readouterr().out
    assert "pictures     7 of 9 URLs" in printed
    assert "new 3, retried 1, reused 4, failed 1, gone 0 (against version 2)" in printed
    assert "vectors used again: images 4, captions 8, texts 5" in printed
    assert printed.splitlines()[-3:] == ["figure pictures 7", "figure pairs 6", "figure run_seconds 9.0"]
    assert "distill_student" not in printed
