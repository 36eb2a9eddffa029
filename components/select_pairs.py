"""Step 5, select_pairs: the teacher's scores in; the pairs and captions that training shall use out."""

from dataclasses import asdict, dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say
from infra.store import SAMPLES, read_done
from training.data_card import build_card, write_card

# Of embed_pairs' result, 4% of its bytes. Samples of what is dropped come from the first shards; one of a
# later shard, of a rare reason, is shown without its image where not all is at hand.
READ_OF_EMBEDDED = ("embedded.json", "scores/*", "shards/0000[0-3].tar")


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


def select(config: SelectPairs, place: Path, engines: dict, raw: Path, pairs: Path, embedded: Path) -> dict:
    """Select by the teacher's score, per language, without near-duplicates, balanced; write the data card."""
    from spark_jobs import select_pairs as job
    from spark_jobs.drop_samples import sample_drops, thumbnails, write_samples
    from spark_jobs.session import is_short, spark_session

    short_job = is_short((embedded / "scores").glob("*.parquet"))
    with spark_session("select_pairs", engines["spark_master"], short_job=short_job) as spark:
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
        samples = sample_drops(spark, {"select_pairs": place / "dropped.parquet"})
    write_samples(place / SAMPLES, samples, thumbnails(embedded / "shards", samples))
    say("select_pairs", f"selected {facts['kept']} of {facts['input']}; dropped {facts['dropped']}")
    if not facts["kept"]:
        raise StepError("no pair was selected; the reasons are above, the thresholds in the recipe")
    facts["thresholds"] = {lang: band.low for lang, band in bands.items()}
    records = {"raw": read_done(raw), "pairs": read_done(pairs), "embedded": read_done(embedded)}
    write_card(place, build_card(records, facts, asdict(config)))
    return facts


@step_component()
def select_pairs(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    funnel: dsl.Output[dsl.Markdown],
):
    """Select pairs by the teacher's score with Spark."""
    from components.select_pairs import READ_OF_EMBEDDED, SelectPairs, select
    from components.step import run_step
    from training.data_card import FUNNEL

    inputs = {"raw": raw, "pairs": pairs, "embedded": embedded}
    # Of the steps before the vectors, the data card wants the records alone.
    only = {"raw": (), "pairs": (), "embedded": READ_OF_EMBEDDED}
    outputs = {"metrics": metrics, "pages": {FUNNEL: funnel}}
    run_step("select_pairs", select, SelectPairs, config, inputs, selection, only=only, **outputs)
