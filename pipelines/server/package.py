"""A pipeline as it is sent: its compiled text, what it asks for, a version that follows from its content."""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from infra.code_version import code_version
from infra.store import identity
from pipelines.catalogue import compile_to, find_pipeline


@dataclass(frozen=True)
class Package:
    """A compiled pipeline. `code` is the version of all code that its steps reach."""

    name: str
    text: str
    code: str

    @property
    def version(self) -> str:
        """The code's version, and six digits of the compiled pipeline: it may name another image."""
        return f"{self.code}-{identity(self.text)[:6]}"

    @property
    def description(self) -> str:
        """What the server shows beside the version."""
        return f"code {self.code}, image {', '.join(self.images)}"

    @cached_property
    def spec(self) -> dict:
        """The pipeline's specification (a second document, if there is one, is the platform's)."""
        return next(yaml.safe_load_all(self.text))

    @property
    def images(self) -> list[str]:
        """The images that the steps run on."""
        executors = self.spec["deploymentSpec"]["executors"].values()
        return sorted({executor["container"]["image"] for executor in executors})

    @property
    def parameters(self) -> dict[str, str]:
        """The type of each parameter by its name, in KFP's words: STRING, STRUCT and so on."""
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {name: about["parameterType"] for name, about in declared.items()}

    @property
    def defaults(self) -> dict:
        """What a parameter is when it is not given."""
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {name: about["defaultValue"] for name, about in declared.items() if "defaultValue" in about}

    @cached_property
    def tasks(self) -> dict[str, str]:
        """The name for people of each task that is a step, by its name in the DAG; pipelines within too."""
        components = self.spec["components"]
        graphs = [self.spec["root"], *components.values()]
        tasks = [item for graph in graphs for item in graph.get("dag", {}).get("tasks", {}).items()]
        return {
            name: task["taskInfo"]["name"]
            for name, task in tasks
            if "executorLabel" in components[task["componentRef"]["name"]]
        }


def make_package(name: str) -> Package:
    """Compile a pipeline of the catalogue.

    Raises:
        StepError: there is none of that name.
    """
    code = code_version(find_pipeline(name).pipeline_func.__module__)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.yaml")
        compile_to(name, file)
        return Package(name, file.read_text(), code)
