"""The ablation at toy size: sources found, shared phases trained once, tables of means and differences."""

import json
import os
from dataclasses import replace

import pytest
from toy_training import TINY, tiny_student

from training.ablation import Trial, num_steps, run_ablation
from training.ablation_tables import tables
from training.laboratory import Laboratory, Sources, find_sources, newest
from training.settings import Phase
from training.variants import BASELINE, Variant

IMAGE = Phase("image tower", ("image",), "pairs", {"image_feature": 1.0}, 3, 8, 5e-3)
TEXT = Phase("text tower", ("text",), "texts", {"text_feature": 1.0}, 2, 8, 5e-3)
ALIGN = Phase("alignment", ("image", "text"), "pairs", {"contrastive": 1.0}, 2, 8, 5e-3)
VARIANTS = [
    Variant(BASELINE, "Stages", TINY, (IMAGE, TEXT, ALIGN)),
    Variant("stage 1 only", "Stages", TINY, (IMAGE, TEXT)),
    Variant("grouped", "Stage 2", TINY, (IMAGE, TEXT, replace(ALIGN, group_window=2))),
]


@pytest.fixture
def sources(corpus, exam_folder, tmp_path) -> Sources:
    tiny_student().tokenizer.save_pretrained(tmp_path / "tokenizer")
    (corpus.embedded / "embedded.json").write_text('{"width": 16}')
    return Sources(corpus.embedded, corpus.selection, tmp_path / "tokenizer", exam_folder, None)


def test_newest_is_the_step_that_was_finished_last(tmp_path):
    for number, name in enumerate(("first", "third", "second")):
        place = tmp_path / "embed_pairs" / name
        place.mkdir(parents=True)
        (place / "done.json").write_text("{}")
        os.utime(place / "done.json", (0, (0, 9, 5)[number]))
    (tmp_path / "embed_pairs" / "unfinished").mkdir()
    assert newest(tmp_path, "embed_pairs").name == "third"


def test_a_store_without_the_steps_says_which(tmp_path):
    with pytest.raises(FileNotFoundError, match="embed_pairs holds no finished step"):
        find_sources(tmp_path, tmp_path)


def test_shared_phases_are_counted_once_a_seed(tmp_path):
    trials = [Trial(variant, seed, tmp_path) for variant in VARIANTS for seed in (0, 1)]
    assert num_steps(trials) == 2 * (3 + 2 + 2 + 2)


def test_shared_phases_are_trained_once(sources, tmp_path):
    taken: list[str] = []
    laboratory = Laboratory(sources, TINY, tmp_path, taken.append)
    for variant in VARIANTS:
        laboratory.examine(variant, 0)
    assert [taken.count(phase.name) for phase in (IMAGE, TEXT, ALIGN)] == [3, 2, 2 + 2]


def test_results_of_two_processes_are_kept_and_a_missing_one_is_trained_again(sources, tmp_path):
    place = tmp_path / "ablation"
    text = run_ablation(VARIANTS, sources, 2, place)
    assert (place / "ablation.md").read_text() == text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows == ["variant", "---", BASELINE, "stage 1 only", "variant", "---", BASELINE, "grouped"]
    files = sorted((place / "results").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 6
    lost = json.loads(files[0].read_text())
    files[0].unlink()
    run_ablation(VARIANTS, sources, 2, place)
    assert [file.stat().st_mtime_ns for file in files[1:]] == times[1:]
    assert {**json.loads(files[0].read_text()), "seconds": 0} == {**lost, "seconds": 0}


def test_a_variant_alone_gives_what_it_gives_among_others(sources, tmp_path):
    alone = run_ablation([VARIANTS[2]], sources, 1, tmp_path / "alone")
    among = run_ablation(VARIANTS, sources, 1, tmp_path / "among")

    def accuracies(text):
        return next(line for line in text.splitlines() if "grouped" in line).split("|")[2:4]

    assert accuracies(alone) == accuracies(among)


def results(*top1: tuple[float, float]) -> list[dict]:
    return [{"en": en, "zh": zh, "seconds": 10} for en, zh in top1]


def test_tables_have_means_deviations_and_differences_by_seed():
    found = {
        BASELINE: results((0.10, 0.20), (0.20, 0.20)),
        "stage 1 only": results((0.11, 0.15), (0.21, 0.15)),
        "grouped": results((0.10, 0.21), (0.20, 0.25)),
    }
    text = tables(VARIANTS, found)
    assert "| both stages | 15.0 ± 7.1 | 20.0 ± 0.0 |  |  | 10 |" in text
    assert "| stage 1 only | 16.0 ± 7.1 | 15.0 ± 0.0 | +1.0 ± 0.0 | -5.0 ± 0.0 | 10 |" in text
    assert "| grouped | 15.0 ± 7.1 | 23.0 ± 2.8 | +0.0 ± 0.0 | +3.0 ± 2.8 | 10 |" in text
    assert "over 2 seeds" in text


def test_one_seed_has_no_deviation():
    found = {variant.name: results((0.1, 0.2)) for variant in VARIANTS}
    assert "| stage 1 only | 10.0 | 20.0 | +0.0 | +0.0 | 10 |" in tables(VARIANTS, found)
