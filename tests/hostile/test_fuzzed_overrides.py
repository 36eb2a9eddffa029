"""Values of `--set` of any kind, at any name of a recipe: a recipe, or one line that says what is wrong."""

import dataclasses
import json
import random
from collections.abc import Iterator
from typing import Any

from components.step import StepError
from pipelines.recipes import RECIPES, Recipe
from pipelines.resolve import choose_recipe
from tests.hostile import number, within
from tests.hostile.fuzz import broken

VALUES = [
    *("", "0", "-1", "1", "1.5", "1e999", "-0.0", "NaN", "Infinity", "9" * 400, "9" * 5_000, "null", "true"),
    *("[]", "{}", "[1]", '["a"]', "[[]]", '{"a": 1}', "[" * 5_000, '{"":' * 500 + "1" + "}" * 500, '"x"'),
    *(
        "x",
        "../x",
        "/",
        "s3:///x",
        "a\0b",
        "\udcff",
        "\n",
        "猫",
        "x" * 10_000,
        '{"path": "a", "layout": "en"}',
    ),
]


def names(value: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of all values of a recipe."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield f"{prefix}{key}"
        yield from names(item, f"{prefix}{key}.")


def odd_overrides(count: int, seed: int) -> Iterator[tuple[str, Any]]:
    """(name, value): odd texts as a command line has them, odd values as KFP has them, broken JSON."""
    rng = random.Random(seed)
    recipe = json.loads(json.dumps(dataclasses.asdict(RECIPES["smoke"]())))
    known = list(names(recipe))
    texts = broken([json.dumps(item).encode() for item in recipe.values()], count, seed)
    for text in texts:
        name = rng.choice(known) + rng.choice(("", "", "", ".0", ".x", ".", ".-1"))
        given = rng.choice([rng.choice(VALUES), rng.choice(VALUES), text.decode(errors="surrogateescape")])
        yield name, rng.choice([given, given, [given], {given[:50]: given}, None, float("nan"), -1, 2**70])


def test_a_value_makes_a_recipe_or_is_refused_in_a_line():
    refused, accepted = 0, 0
    for name, value in within(number(3, 300), odd_overrides(number(200, 50_000), seed=4)):
        try:
            recipe = choose_recipe("smoke", {name: value})
        except StepError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert isinstance(recipe, Recipe)
        json.dumps(dataclasses.asdict(recipe), ensure_ascii=False, allow_nan=False).encode()
        accepted += 1
    assert refused > accepted > 0
