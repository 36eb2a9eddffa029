"""dcclip-full: from URL lists to a registered bilingual CLIP; its halves are dcclip-data and dcclip-train.

0 resolve_recipe    a recipe's name and overrides, to one config a step
1 download_pairs    img2dataset crawls the URL lists
2 filter_pairs      Spark keeps the good pairs, and counts why others go
3 prepare_teacher   a teacher is fetched, or tuned on the kept pairs
4 embed_pairs       Ray Data stores the teacher's vectors
5 select_pairs      Spark selects by the teacher's score
  publish_data      what there is now is a version of the data set; dcclip-train begins from one (take_data)
6 distill_student   Ray Train, stage 1: feature distillation
7 align_student     Ray Train, stage 2: alignment
8 evaluate_student  the zero-shot exam in both languages
9 export_student    ONNX
10 register_student MLflow: champion or challenger, and the report
"""

import functools
from collections.abc import Callable, Iterator, Mapping

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent
from kfp.dsl.pipeline_channel import PipelineArtifactChannel

from components.align_student import align_student
from components.distill_student import distill_student
from components.download_pairs import download_pairs
from components.embed_pairs import embed_pairs
from components.evaluate_student import evaluate_student
from components.export_student import export_student
from components.filter_pairs import filter_pairs
from components.prepare_teacher import prepare_teacher
from components.publish_data import publish_data
from components.register_student import register_student
from components.resolve_recipe import resolve_recipe
from components.select_pairs import select_pairs
from components.take_data import take_data
from pipelines.resources import place_resolver, place_task


def add_resolver(pipeline: str, parameters: dict) -> dsl.PipelineTask:
    """The task that every pipeline begins with; its outputs are the steps' configs and pods."""
    configs = resolve_recipe(pipeline=pipeline, **parameters)
    return place_resolver(configs, "Resolve the recipe")


def add_data_steps(
    configs: dsl.PipelineTask,
) -> tuple[dict[str, PipelineArtifactChannel], dsl.PipelineTask]:
    """Steps 1 to 5, and a task that publishes the version they make; returns (their artifacts, that task)."""
    place = functools.partial(place_task, configs)
    raw = place(download_pairs(config=configs.outputs["download_pairs"]), "1 Download pairs").outputs["raw"]
    pairs = place(filter_pairs(config=configs.outputs["filter_pairs"], raw=raw), "2 Filter pairs").outputs[
        "pairs"
    ]
    teacher = place(
        prepare_teacher(config=configs.outputs["prepare_teacher"], raw=raw, pairs=pairs), "3 Prepare teacher"
    ).outputs["teacher"]
    embedded = place(
        embed_pairs(config=configs.outputs["embed_pairs"], raw=raw, pairs=pairs, teacher=teacher),
        "4 Embed pairs",
    ).outputs["embedded"]
    selection = place(
        select_pairs(config=configs.outputs["select_pairs"], raw=raw, pairs=pairs, embedded=embedded),
        "5 Select pairs",
    ).outputs["selection"]
    data = {"raw": raw, "pairs": pairs, "teacher": teacher, "embedded": embedded, "selection": selection}
    published = place(publish_data(config=configs.outputs["dataset"], **data), "Publish the data")
    return data, published


def add_training_steps(
    configs: dsl.PipelineTask,
    raw: PipelineArtifactChannel,
    pairs: PipelineArtifactChannel,
    teacher: PipelineArtifactChannel,
    embedded: PipelineArtifactChannel,
    selection: PipelineArtifactChannel,
) -> dsl.PipelineTask:
    """Steps 6 to 10, on the artifacts of the data steps; returns the first task."""
    place = functools.partial(place_task, configs)
    first = place(
        distill_student(config=configs.outputs["distill_student"], embedded=embedded, selection=selection),
        "6 Distill student",
    )
    distilled = first.outputs["distilled"]
    student = place(
        align_student(
            config=configs.outputs["align_student"],
            embedded=embedded,
            selection=selection,
            distilled=distilled,
        ),
        "7 Align student",
    ).outputs["student"]
    exam = place(
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
    onnx = place(
        export_student(
            config=configs.outputs["export_student"],
            student=student,
            embedded=embedded,
            selection=selection,
            results=exam.outputs["results"],
        ),
        "9 Export student",
    ).outputs["onnx"]
    place(
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
    return first


def dcclip_data(
    recipe: str = "demo",
    overrides: dict = {},  # noqa: B006  (KFP reads the default into the compiled pipeline)
    storage_root: str = "/mnt/dcclip",
    spark_master: str = "local[*]",
    ray_address: str = "",
    mlflow_uri: str = "",
    s3_endpoint: str = "",
):
    """The data steps; every place and figure follows from the recipe and the version before."""
    add_data_steps(add_resolver("dcclip-data", locals()))


def dcclip_train(
    recipe: str = "demo",
    overrides: dict = {},  # noqa: B006  (KFP reads the default into the compiled pipeline)
    storage_root: str = "/mnt/dcclip",
    spark_master: str = "local[*]",
    ray_address: str = "",
    mlflow_uri: str = "",
    s3_endpoint: str = "",
):
    """The training steps on the version that the recipe names, by default the latest."""
    configs = add_resolver("dcclip-train", locals())
    taken = place_task(configs, take_data(config=configs.outputs["dataset"]), "Take the data")
    data = {name: taken.outputs[name] for name in ("raw", "pairs", "teacher", "embedded", "selection")}
    add_training_steps(configs, **data)


def dcclip_full(
    recipe: str = "demo",
    overrides: dict = {},  # noqa: B006  (KFP reads the default into the compiled pipeline)
    storage_root: str = "/mnt/dcclip",
    spark_master: str = "local[*]",
    ray_address: str = "",
    mlflow_uri: str = "",
    s3_endpoint: str = "",
):
    """The data steps, then the training steps; every place, score and figure follows from the recipe."""
    configs = add_resolver("dcclip-full", locals())
    data, published = add_data_steps(configs)
    # What is trained on is a version, also when the training fails.
    add_training_steps(configs, **data).after(published)


class Pipelines(Mapping[str, GraphComponent]):
    """The pipelines by name, each built when it is first asked for.

    Not at import: KFP looks at its callers' source lines for each setting of a task, which takes ten times as
    long below an import (seconds, in every process that imports this module).
    """

    def __init__(self, **described: tuple[Callable, str]):
        self._functions = {f"dcclip-{name}": function for name, function in described.items()}
        self._build = functools.cache(self._built)

    def _built(self, name: str) -> GraphComponent:
        function, description = self._functions[name]
        return dsl.pipeline(name=name, description=description)(function)

    def __getitem__(self, name: str) -> GraphComponent:
        return self._build(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


PIPELINES = Pipelines(
    full=(dcclip_full, "URL lists in, a small bilingual CLIP in the registry out."),
    data=(dcclip_data, "URL lists in, a version of the data set out."),
    train=(dcclip_train, "A version of the data set in, a bilingual CLIP out."),
)
