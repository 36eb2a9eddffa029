"""Step 5, select_pairs: the teacher's scores in; the pairs and captions that training shall use out."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say


@dataclass(frozen=True)
class SelectPairs:
    """What training shall not see, judged by the teacher.

    Scores are its cosines of image and caption. Of each language the lowest `drop_share` of captions go, and
    those below `min_score_…` or above `max_score_…` (text in the picture scores suspiciously high), None for
    no limit; what is usual differs from teacher to teacher. Of images nearer than `near_duplicate_cosine` the
    one with the best score stays; 0 keeps all. `max_language_ratio` caps the captions of one language at so
    many times the other's; `max_word_count` thins out pairs all of whose words are in more pairs than that;
    0 is off.
    """

    drop_share: float = 0.3
    min_score_zh: float | None = None
    min_score_en: float | None = None
    max_score_zh: float | None = None
    max_score_en: float | None = None
    near_duplicate_cosine: float = 0.95
    max_language_ratio: float = 0.0
    max_word_count: int = 0
    seed: int = 0


def select(config: SelectPairs, place: Path, engines: dict, embedded: Path) -> dict:
    """Select by the teacher's score, per language, without near-duplicates, balanced."""
    from spark_jobs import select_pairs as job
    from spark_jobs.session import spark_session

    with spark_session("select_pairs", engines["spark_master"]) as spark:
        scores = job.read_scores(spark, embedded)
        counts = job.count(scores)
        lowest = job.lowest_kept(scores, counts, config.drop_share) if config.drop_share else {}
        bands = {
            "zh": job.Band(config.min_score_zh, config.max_score_zh).above(lowest.get("zh")),
            "en": job.Band(config.min_score_en, config.max_score_en).above(lowest.get("en")),
        }
        rows = job.select(
            scores,
            bands,
            num_rows=counts.embedded,
            near_duplicate_cosine=config.near_duplicate_cosine,
            max_word_count=config.max_word_count,
            max_language_ratio=config.max_language_ratio,
            seed=config.seed,
        )
        facts = job.write_selection(rows, place)
    say("select_pairs", f"selected {facts['kept']} of {facts['input']}; dropped {facts['dropped']}")
    if not facts["kept"]:
        raise StepError("no pair was selected; the reasons are above, the thresholds in the recipe")
    return {**facts, "thresholds": {lang: band.low for lang, band in bands.items()}}


@step_component()
def select_pairs(config: dict, embedded: dsl.Input[dsl.Dataset], selection: dsl.Output[dsl.Dataset]):
    """Select pairs by the teacher's score with Spark."""
    from components.select_pairs import SelectPairs, select
    from components.step import run_step

    run_step("select_pairs", select, SelectPairs, config, {"embedded": embedded}, selection)
