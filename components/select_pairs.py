"""Step 5, select_pairs: the teacher's scores in; the pairs and captions that training shall use out."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say


@dataclass(frozen=True)
class SelectPairs:
    """The share of captions to drop in each language: those that the teacher finds to fit least."""

    drop_share: float = 0.3


def select(config: SelectPairs, place: Path, engines: dict, embedded: Path) -> dict:
    """Select by the teacher's score, per language."""
    from spark_jobs import select_pairs as job
    from spark_jobs.session import spark_session

    with spark_session("select_pairs", engines["spark_master"]) as spark:
        scores = job.read_scores(spark, embedded)
        thresholds = job.score_thresholds(scores, config.drop_share)
        facts = job.write_selection(job.select(scores, thresholds), place)
    say("select_pairs", f"selected {facts['kept']} of {facts['input']}")
    return {**facts, "thresholds": thresholds}


@step_component()
def select_pairs(config: dict, embedded: dsl.Input[dsl.Dataset], selection: dsl.Output[dsl.Dataset]):
    """Select pairs by the teacher's score with Spark."""
    from components.select_pairs import SelectPairs, select
    from components.step import run_step

    run_step("select_pairs", select, SelectPairs, config, {"embedded": embedded}, selection)
