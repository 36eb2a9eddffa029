"""Step 2, filter_pairs: raw shards in; kept pairs and dropped pairs with reasons out, judged by Spark."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say


@dataclass(frozen=True)
class FilterPairs:
    """Thresholds: sides in pixels, captions in characters."""

    min_side: int = 200
    max_aspect: float = 3.0
    min_chars_zh: int = 2
    max_chars_zh: int = 64
    min_chars_en: int = 5
    max_chars_en: int = 256


def apply_rules(config: FilterPairs, place: Path, engines: dict, raw: Path) -> dict:
    """Judge every row that download_pairs recorded."""
    from spark_jobs.filter_pairs import judge, read_raw, write_judged
    from spark_jobs.session import spark_session

    with spark_session("filter_pairs", engines["spark_master"]) as spark:
        rows = judge(
            read_raw(spark, raw / "shards"),
            min_side=config.min_side,
            max_aspect=config.max_aspect,
            min_chars={"zh": config.min_chars_zh, "en": config.min_chars_en},
            max_chars={"zh": config.max_chars_zh, "en": config.max_chars_en},
        )
        facts = write_judged(rows, place)
    say("filter_pairs", f"kept {facts['kept']} of {facts['input']}; dropped {facts['dropped']}")
    if not facts["kept"]:
        raise StepError("no pair passed the filters; the reasons are above, the thresholds in the recipe")
    return facts


@step_component()
def filter_pairs(config: dict, raw: dsl.Input[dsl.Dataset], pairs: dsl.Output[dsl.Dataset]):
    """Judge the raw pairs with Spark."""
    from components.filter_pairs import FilterPairs, apply_rules
    from components.step import run_step

    run_step("filter_pairs", apply_rules, FilterPairs, config, {"raw": raw}, pairs)
