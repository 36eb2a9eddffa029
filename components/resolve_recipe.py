"""Step 0, resolve_recipe: a recipe's name and overrides in, one config dict for each step out.

It runs in every run, so that a step's dict, and with it the step's place, changes
exactly when a value, an input file or a line of code that the step uses has changed. What a run begins from,
a version of the data set or the champion, is decided here too (pipelines/growth.py).
"""

from typing import NamedTuple

from components.image import step_component


@step_component()
def resolve_recipe(
    recipe: str,
    overrides: dict,
    storage_root: str,
    spark_master: str,
    ray_address: str,
    mlflow_uri: str,
    s3_endpoint: str,
    pipeline: str,
) -> NamedTuple(
    "Configs",
    [
        ("download_pairs", dict),
        ("filter_pairs", dict),
        ("prepare_teacher", dict),
        ("embed_pairs", dict),
        ("select_pairs", dict),
        ("distill_student", dict),
        ("align_student", dict),
        ("evaluate_student", dict),
        ("export_student", dict),
        ("register_student", dict),
        ("dataset", dict),
    ],
):
    """Turn a recipe and its overrides into one config dict a step."""
    from components.step import failing_clearly
    from infra.object_store import endpoint_known
    from pipelines.growth import resolve_run
    from pipelines.resolve import choose_recipe, engine_addresses

    with failing_clearly("resolve_recipe"), endpoint_known(s3_endpoint):
        engines = engine_addresses(storage_root, spark_master, ray_address, mlflow_uri, s3_endpoint)
        configs = resolve_run(choose_recipe(recipe, overrides), storage_root, engines, pipeline)
    return tuple(configs.values())
