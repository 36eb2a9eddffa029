"""Step 2, filter_pairs: raw shards in; kept pairs and dropped pairs with reasons out, judged by Spark."""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say
from infra.places import fetched
from infra.storage import AnyPath
from infra.store import SAMPLES
from spark_jobs.limits import CHINESE, ENGLISH, IMAGE, CaptionLimits, ImageLimits

# What Spark reads by itself, and so has copied from object storage: no images.
RECORDS = ("shards/*.parquet", "lists_dropped/*")


@dataclass(frozen=True)
class FilterPairs:
    """The thresholds of the rules; `simplify` writes Chinese captions in simplified characters."""

    zh: CaptionLimits = CHINESE
    en: CaptionLimits = ENGLISH
    image: ImageLimits = IMAGE
    simplify: bool = False


def apply_rules(config: FilterPairs, place: Path, engines: dict, raw: AnyPath) -> dict:
    """Judge every row that download_pairs recorded."""
    from spark_jobs.drop_samples import sample_drops, thumbnails, write_samples
    from spark_jobs.filter_pairs import judge, read_raw, write_judged
    from spark_jobs.session import is_short, spark_session

    shards, captions = raw / "shards", {"zh": config.zh, "en": config.en}
    short_job = is_short(shards.glob("*.parquet"))
    with (
        fetched(raw, "filter_pairs", RECORDS) as records,
        spark_session("filter_pairs", engines["spark_master"], short_job=short_job) as spark,
    ):
        rows = judge(read_raw(spark, records / "shards"), shards, captions, config.image, config.simplify)
        facts = write_judged(rows, place)
        samples = sample_drops(
            spark, {"download_pairs": records / "lists_dropped", "filter_pairs": place / "dropped.parquet"}
        )
    write_samples(place / SAMPLES, samples, thumbnails(shards, samples))
    say("filter_pairs", f"kept {facts['kept']} of {facts['input']}; dropped {facts['dropped']}")
    if not facts["kept"]:
        raise StepError("no pair passed the filters; the reasons are above, the thresholds in the recipe")
    return facts


@step_component()
def filter_pairs(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
):
    """Judge the raw pairs with Spark."""
    from components.filter_pairs import FilterPairs, apply_rules
    from components.step import run_step

    given = {"in_place": ("raw",), "metrics": metrics}
    run_step("filter_pairs", apply_rules, FilterPairs, config, {"raw": raw}, pairs, **given)
