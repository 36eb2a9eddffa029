"""Step 0, resolve_recipe: a recipe's name and overrides in, a config dict and a pod's size for each step out.

It runs in every run, so that a step's dict, and with it the step's place, changes
exactly when a value, an input file or a line of code that the step uses has changed. What a run begins from,
a version of the data set or the champion, is decided here too (pipelines/growth.py). A recipe's demo corpus
is put below the storage root first.
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
    # Kubeflow takes this source apart from its module, so the names stand here again (a test compares them).
    [
        (step, dict)
        for step in (
            "download_pairs",
            "filter_pairs",
            "prepare_teacher",
            "embed_pairs",
            "select_pairs",
            "distill_student",
            "align_student",
            "evaluate_student",
            "export_student",
            "register_student",
            "dataset",
        )
    ]
    + [
        (f"{step}_{name}", kind)
        for step in (
            "download_pairs",
            "filter_pairs",
            "prepare_teacher",
            "embed_pairs",
            "select_pairs",
            "distill_student",
            "align_student",
            "evaluate_student",
            "export_student",
            "register_student",
            "take_data",
            "publish_data",
        )
        for name, kind in {
            **dict.fromkeys(("cpu", "cpu_limit", "memory", "memory_limit", "accelerator", "gpus"), str),
            "node_selector": dict,
            "tolerations": list,
        }.items()
    ],
):
    """Turn a recipe and its overrides into one config dict a step, and the size of its pod."""
    from components.step import failing_clearly
    from infra.object_store import endpoint_known
    from pipelines.demo import put_corpus
    from pipelines.growth import resolve_run
    from pipelines.resolve import choose_recipe, engine_addresses
    from pipelines.sizes import pod_outputs

    with failing_clearly("resolve_recipe"), endpoint_known(s3_endpoint):
        engines = engine_addresses(storage_root, spark_master, ray_address, mlflow_uri, s3_endpoint)
        chosen = choose_recipe(recipe, overrides)
        if chosen.corpus:
            put_corpus(chosen.corpus, storage_root.rstrip("/"), s3_endpoint)
        configs = resolve_run(chosen, storage_root, engines, pipeline)
    return (*configs.values(), *pod_outputs(chosen.resources, chosen.gpu))
