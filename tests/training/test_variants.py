"""Variants: what each changes of the recipe, and that the loop and its batches take all of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_training import TINY, sources_of, tiny_student

from pipelines.recipes import demo
from training.batches import BatchSource
from training.loop import PhaseRun
from training.objectives import check_terms
from training.variants import BASELINE, claim_variants, exchange, plus, technique_variants, without

# The toy student has inherited nothing that could stay as it is.
STAGE1 = tuple(replace(phase, frozen_blocks=0) for phase in demo().distill_student.phases)
STAGE2 = demo().align_student.phases
CLAIM = {item.name: item for item in claim_variants(TINY, STAGE1, STAGE2)}
TECHNIQUES = {item.name: item for item in technique_variants(TINY, STAGE1, STAGE2, Path("teacher"))}
IMAGE, TEXT = STAGE1


def test_the_claim_has_four_rows_of_which_three_take_as_many_steps():
    steps = {name: sum(phase.num_steps for phase in item.phases) for name, item in CLAIM.items()}
    assert list(steps) == [
        BASELINE,
        "stage 1 only",
        "stage 2 only, inherited start",
        "from scratch, no teacher",
    ]
    assert steps.pop("stage 1 only") < min(steps.values()) == max(steps.values())


def test_from_scratch_no_teacher_has_a_part():
    scratch = CLAIM["from scratch, no teacher"]
    assert not scratch.shape.inherit_image and not scratch.shape.inherit_text
    assert [phase.terms for phase in scratch.phases] == [{"contrastive": 1.0}]


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_changes_one_stage_and_keeps_steps(name):
    phases, base = TECHNIQUES[name].phases, (*STAGE1, *STAGE2)
    changed = [number for number, phase in enumerate(phases) if phase != base[number]]
    assert changed in ([0], [1], [0, 1], [2])
    assert [phase.num_steps for phase in phases] == [phase.num_steps for phase in base]
    for phase in phases:
        check_terms(phase.terms)


def test_no_two_variants_are_the_same():
    phases = [item.phases for item in TECHNIQUES.values()]
    assert all(phases.count(each) == 1 for each in phases)


def test_terms_are_exchanged_at_their_weight():
    assert exchange(IMAGE, {"image_contrastive": "contrastive"}).terms["contrastive"] == 0.2


def test_terms_are_left_out_and_added():
    assert set(without(TEXT, "text_affinity").terms) == {"text_feature"}
    assert plus(TEXT, affinity=0.5).terms == {**TEXT.terms, "affinity": 0.5}


@pytest.mark.parametrize("name", [name for name in TECHNIQUES if "maps" not in name])
def test_the_loop_takes_a_variants_phases(name, corpus):
    for phase in TECHNIQUES[name].phases:
        student = tiny_student()
        run = PhaseRun(phase, student.model.train(), seed=0)
        facts = run.take_step(BatchSource(phase, sources_of(corpus), student.tokenizer, 0)(0))
        assert facts["loss"] > 0
