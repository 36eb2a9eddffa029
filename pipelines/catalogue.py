"""The pipelines there are, by name: what `dcclip compile`, `submit` and `schedule` take."""

from pathlib import Path

from kfp import compiler
from kfp.dsl.base_component import BaseComponent

from components.step import StepError
from pipelines.full import PIPELINES


def find_pipeline(name: str) -> BaseComponent:
    """The pipeline of that name.

    Raises:
        StepError: there is none.
    """
    if name not in PIPELINES:
        raise StepError(f"there is no pipeline {name!r}; choose one of {', '.join(PIPELINES)}")
    return PIPELINES[name]


def compile_to(name: str, file: Path) -> None:
    """Compile a pipeline for a cluster; its steps run on the image that DCCLIP_IMAGE names.

    Raises:
        StepError: there is no such pipeline, or the file's name is not one of YAML.
        OSError: the file cannot be written.
    """
    pipeline = find_pipeline(name)
    if file.suffix not in (".yaml", ".yml"):
        raise StepError(f"{file} is no file of YAML; name one that ends in .yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(file))
