"""Every recipe is a whole value that survives its way to a step, and full's student is small."""

import dataclasses
import json

import pytest
import torch

from components.step import StepError, build
from infra.store import plain
from pipelines.recipes import RECIPES
from pipelines.resolve import STEPS, choose_recipe, resolve
from training.objectives import check_terms
from training.student import build_student

RECIPE_NAMES = sorted(RECIPES)
WIDTH_OF_ALTCLIP = 768


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_recipe_holds_one_value_a_step(name):
    recipe = RECIPES[name]()
    assert [field.name for field in dataclasses.fields(recipe)] == [
        *STEPS,
        "corpus",
        "dataset",
        "gpu",
        "resources",
    ]
    assert recipe == RECIPES[name]()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_step_gets_the_values_of_the_recipe(name, step):
    """A dict of them goes through JSON, where tuples are lists, and KFP, where numbers are floats."""
    values = getattr(RECIPES[name](), step)
    sent = json.loads(json.dumps(dataclasses.asdict(values)), parse_int=float)
    assert build(type(values), plain(sent)) == values


class Vocabulary:
    """As much of a tokenizer as a student's shape depends on."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size


def test_the_student_of_the_paper_has_at_most_60_million_parameters():
    shape = RECIPES["full"]().distill_student.student
    with torch.device("meta"):
        student = build_student(shape, Vocabulary(shape.vocab_size), WIDTH_OF_ALTCLIP)
    assert 30e6 < student.num_parameters <= 60e6


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_phases_name_terms_that_are_there(name):
    recipe = RECIPES[name]()
    for phase in (*recipe.distill_student.phases, *recipe.align_student.phases):
        check_terms(phase.terms)
        assert phase.terms


def test_a_hub_teacher_without_a_commit_is_refused_before_anything_runs(tmp_path):
    recipe = choose_recipe("full", {})
    with pytest.raises(StepError, match="BAAI/AltCLIP .* not pinned"):
        resolve(recipe, str(tmp_path), {})
