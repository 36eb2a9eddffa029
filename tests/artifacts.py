"""KFP artifacts as steps get them: files of their own, references to results among them."""

import uuid
from pathlib import Path

from kfp import dsl

from components.reference import Reference, write_reference
from infra.places import place_name


def new_artifact(folder: Path, kind: type[dsl.Artifact] = dsl.Dataset) -> dsl.Artifact:
    """An output before its step has run."""
    return kind(uri=str(folder / "artifacts" / uuid.uuid4().hex))


def reference_to(address: str | Path, folder: Path, step: str = "") -> dsl.Artifact:
    """An input: a reference to what is stored at an address."""
    artifact = new_artifact(folder)
    write_reference(artifact, Reference(step, str(address), place_name(str(address)), 0, {}))
    return artifact
