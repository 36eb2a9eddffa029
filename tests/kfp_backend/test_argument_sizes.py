"""A step's config is one argument of its command, of which Linux takes 128 KiB: `full` is measured."""

import json

import pytest

from infra.store import write_json
from pipelines.recipes import RECIPES
from pipelines.resolve import STEPS, choose_recipe, engine_addresses, resolve
from tests.kfp_backend.backend import MAX_ARGUMENT_BYTES

# What the artifacts of a step add to its config, each with a long address.
ARTIFACTS_BYTES = 12_000


@pytest.fixture
def root(tmp_path):
    """A root with whatever a recipe names, next to empty."""
    for name in ("lists/wukong", "exams/gate", "exams/elevater/a-set", "corpus/exam"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("lists/cc12m.tsv", "corpus/pairs.zh.csv", "corpus/pairs.en.csv"):
        write_json(tmp_path / name, [])
    return tmp_path


def test_every_config_of_full_is_far_from_the_limit(root):
    recipe = choose_recipe("full", {"prepare_teacher.revision": "0" * 40})
    engines = engine_addresses(str(root), "k8s://https://kubernetes.default.svc:443", "ray:6379", "", "")
    configs = resolve(recipe, str(root), engines)
    sizes = {step: len(json.dumps(config, ensure_ascii=False).encode()) for step, config in configs.items()}
    assert sizes.keys() == set(STEPS)
    assert "full" in RECIPES
    assert max(sizes.values()) + ARTIFACTS_BYTES < MAX_ARGUMENT_BYTES, sizes
