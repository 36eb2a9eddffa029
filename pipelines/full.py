"""dcclip-full: from URL lists to a registered bilingual CLIP.

0 resolve_recipe    a recipe's name and overrides, to one config a step
1 download_pairs    img2dataset crawls the URL lists
2 filter_pairs      Spark keeps the good pairs, and counts why others go
3 prepare_teacher   a teacher is fetched, or tuned on the kept pairs
4 embed_pairs       Ray Data stores the teacher's vectors
5 select_pairs      Spark selects by the teacher's score
6 distill_student   Ray Train, stage 1: feature distillation
7 align_student     Ray Train, stage 2: alignment
8 evaluate_student  the zero-shot exam in both languages
9 export_student    ONNX
10 register_student MLflow: champion or challenger, and the report
"""

from kfp import dsl

from components.align_student import align_student
from components.distill_student import distill_student
from components.download_pairs import download_pairs
from components.embed_pairs import embed_pairs
from components.evaluate_student import evaluate_student
from components.export_student import export_student
from components.filter_pairs import filter_pairs
from components.prepare_teacher import prepare_teacher
from components.register_student import register_student
from components.resolve_recipe import resolve_recipe
from components.select_pairs import select_pairs
from pipelines.resources import place_task


@dsl.pipeline(name="dcclip-full", description="URL lists in, a small bilingual CLIP in the registry out.")
def dcclip_full(
    recipe: str = "demo",
    overrides: dict = {},  # noqa: B006  (KFP reads the default into the compiled pipeline)
    storage_root: str = "/mnt/dcclip",
    spark_master: str = "local[*]",
    ray_address: str = "",
    mlflow_uri: str = "",
    s3_endpoint: str = "",
):
    """Chain the ten steps; every place, score and figure follows from the recipe."""
    configs = resolve_recipe(
        recipe=recipe,
        overrides=overrides,
        storage_root=storage_root,
        spark_master=spark_master,
        ray_address=ray_address,
        mlflow_uri=mlflow_uri,
        s3_endpoint=s3_endpoint,
    )
    # Not cached: it reads files and code that are no inputs of its own.
    place_task(configs, "Resolve the recipe").set_caching_options(False)

    raw = place_task(download_pairs(config=configs.outputs["download_pairs"]), "1 Download pairs").outputs[
        "raw"
    ]
    pairs = place_task(
        filter_pairs(config=configs.outputs["filter_pairs"], raw=raw), "2 Filter pairs"
    ).outputs["pairs"]
    teacher = place_task(
        prepare_teacher(config=configs.outputs["prepare_teacher"], raw=raw, pairs=pairs), "3 Prepare teacher"
    ).outputs["teacher"]
    embedded = place_task(
        embed_pairs(config=configs.outputs["embed_pairs"], raw=raw, pairs=pairs, teacher=teacher),
        "4 Embed pairs",
    ).outputs["embedded"]
    selection = place_task(
        select_pairs(config=configs.outputs["select_pairs"], raw=raw, pairs=pairs, embedded=embedded),
        "5 Select pairs",
    ).outputs["selection"]
    distilled = place_task(
        distill_student(config=configs.outputs["distill_student"], embedded=embedded, selection=selection),
        "6 Distill student",
    ).outputs["distilled"]
    student = place_task(
        align_student(
            config=configs.outputs["align_student"],
            embedded=embedded,
            selection=selection,
            distilled=distilled,
        ),
        "7 Align student",
    ).outputs["student"]
    exam = place_task(
        evaluate_student(
            config=configs.outputs["evaluate_student"],
            raw=raw,
            pairs=pairs,
            teacher=teacher,
            selection=selection,
            distilled=distilled,
            student=student,
        ),
        "8 Evaluate student",
    )
    onnx = place_task(
        export_student(
            config=configs.outputs["export_student"],
            student=student,
            embedded=embedded,
            selection=selection,
            results=exam.outputs["results"],
        ),
        "9 Export student",
    ).outputs["onnx"]
    place_task(
        register_student(
            config=configs.outputs["register_student"],
            student=student,
            onnx=onnx,
            results=exam.outputs["results"],
            selection=selection,
            distilled=distilled,
        ),
        "10 Register student",
    )
