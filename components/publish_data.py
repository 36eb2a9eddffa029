"""The end of the data steps: what they have left, now that all is whole, becomes a data set's version."""

from typing import Any

from kfp import dsl

from components.image import step_component
from infra.versions import Version


def publish(config: dict, inputs: dict[str, Any]) -> Version:
    """Publish the steps' places as a version, or find the version that they are already.

    Args:
        config: from `components.resolve_recipe`: `name`, `root`, `base`, and `engines`.
        inputs: KFP artifacts, references, by step.
    """
    from components.reference import read_reference
    from infra.console import say
    from infra.places import read_record
    from infra.store import plain
    from infra.versions import Versions

    endpoint = config["engines"]["s3_endpoint"]
    sources = {step: read_reference(artifact) for step, artifact in inputs.items()}
    records = {step: read_record(source.address, endpoint) for step, source in sources.items()}
    places = {step: f"{step}/{source.identity}" for step, source in sources.items()}
    log = Versions(config["root"], config["name"], endpoint)
    version = log.publish(places, plain(config["base"]), count(records))
    say("publish_data", f"version {version.number} of the data set {config['name']}: {tell(version.facts)}")
    return version


def count(records: dict[str, dict]) -> dict:
    """What a version holds and what it has from the one before, from the steps' records."""
    crawl, embedded, selected = (
        records[step]["facts"] for step in ("download_pairs", "embed_pairs", "select_pairs")
    )
    facts = {"pictures": crawl["crawl"]["downloaded"], "pairs": selected["kept"]}
    facts |= {"urls": crawl["known"]} if "known" in crawl else {}
    return facts | ({"reused_vectors": embedded["reused"]} if "reused" in embedded else {})


def show(version: Version, name: str, output: Any) -> None:
    """Make a KFP artifact of a version: all of it in the file, what a person looks for in the metadata."""
    from dataclasses import asdict

    from components.reference import write_artifact

    write_artifact(output, asdict(version))
    counts = {key: version.facts[key] for key in ("pictures", "pairs")}
    made = {"data_set": name, "number": version.number, "base": version.base}
    output.metadata.update(made | counts | {"published_at": version.published_at})


def tell(facts: dict) -> str:
    """The facts in a line."""
    line = f"{facts['pictures']:,} pictures, {facts['pairs']:,} pairs to train on"
    reused = f"; {facts['urls']['reused']:,} pictures are the version's before" if "urls" in facts else ""
    return line + reused


@step_component()
def publish_data(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    embedded: dsl.Input[dsl.Dataset],
    selection: dsl.Input[dsl.Dataset],
    version: dsl.Output[dsl.Dataset],
):
    """Publish a version of the data set."""
    from components.publish_data import publish, show
    from components.step import failing_clearly
    from infra.object_store import endpoint_known

    inputs = {"download_pairs": raw, "filter_pairs": pairs, "prepare_teacher": teacher}
    inputs |= {"embed_pairs": embedded, "select_pairs": selection}
    with failing_clearly("publish_data"), endpoint_known(config["engines"]["s3_endpoint"]):
        show(publish(config, inputs), config["name"], version)
