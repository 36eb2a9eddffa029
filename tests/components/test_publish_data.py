"""A data set's version published by the last data step, and taken by the first training step."""

from pathlib import Path

import pytest
from kfp import dsl

from components.publish_data import publish_data
from components.reference import Reference, read_reference
from components.take_data import take_data
from infra.store import read_json, write_json
from infra.versions import Versions
from tests.artifacts import new_artifact, reference_to

# By step, the artifact's name.
ARTIFACTS = {
    "download_pairs": "raw",
    "filter_pairs": "pairs",
    "prepare_teacher": "teacher",
    "embed_pairs": "embedded",
    "select_pairs": "selection",
}
KNOWN = {"version": 1, "new": 2, "retried": 1, "reused": 4, "failed": 0, "gone": 0, "first_shard": 7}
FACTS = {
    "download_pairs": {"crawl": {"downloaded": 6}, "known": KNOWN},
    "embed_pairs": {"reused": {"images": 4, "captions": 8, "texts": 0}},
    "select_pairs": {"kept": 5},
}


def record(step: str) -> dict:
    return {"step": step, "seconds": 1.5, "facts": FACTS.get(step, {})}


@pytest.fixture
def places(tmp_path) -> dict[str, Path]:
    """Finished places of the data steps."""
    found = {step: tmp_path / "store" / step / "0123456789ab" for step in ARTIFACTS}
    for step, place in found.items():
        place.mkdir(parents=True)
        write_json(place / "done.json", record(step))
    return found


def run_publish(root: Path, places: dict[str, Path]) -> dict:
    """What the version's artifact holds, its metadata among it."""
    config = {"name": "emoji", "root": str(root), "base": 1.0, "engines": {"s3_endpoint": ""}}
    inputs = {ARTIFACTS[step]: reference_to(place, root, step) for step, place in places.items()}
    version = new_artifact(root)
    publish_data.python_func(config=config, **inputs, version=version)
    assert {key: version.metadata[key] for key in ("data_set", "pictures", "pairs")} == {
        "data_set": "emoji",
        "pictures": 6,
        "pairs": 5,
    }
    return read_json(Path(version.path)) | version.metadata


def run_take(root: Path, places: dict[str, str]) -> dict[str, dsl.Dataset]:
    config = {"name": "emoji", "version": 1.0, "places": places, "engines": {"s3_endpoint": ""}}
    outputs = {name: new_artifact(root) for name in ARTIFACTS.values()}
    take_data.python_func(config=config, **outputs)
    return outputs


def test_a_version_names_the_places_and_tells_what_is_in_it(tmp_path, places, capsys):
    metadata = run_publish(tmp_path, places)
    version = Versions(str(tmp_path), "emoji").latest()
    assert version.places == {step: f"{step}/0123456789ab" for step in ARTIFACTS}
    assert (metadata["number"], version.number, version.base) == (1, 1, 1)
    assert version.facts == {
        "pictures": 6,
        "pairs": 5,
        "urls": KNOWN,
        "reused_vectors": FACTS["embed_pairs"]["reused"],
    }
    assert "version 1 of the data set emoji: 6 pictures, 5 pairs" in capsys.readouterr().out


def test_a_retry_publishes_nothing_new(tmp_path, places):
    assert run_publish(tmp_path, places) == run_publish(tmp_path, places)
    assert Versions(str(tmp_path), "emoji").numbers() == [1]


def test_the_places_are_taken_with_what_the_steps_recorded(tmp_path, places):
    taken = run_take(tmp_path, {step: str(place) for step, place in places.items()})
    for step, name in ARTIFACTS.items():
        address, identity = str(places[step]), places[step].name
        metadata = {"step": step, "address": address, "identity": identity, "reused": 1}
        assert taken[name].metadata == metadata
        figures = {"select_pairs": {"kept": 5}, "download_pairs": {"downloaded": 6}}
        figures["embed_pairs"] = {"reused_images": 4, "reused_captions": 8, "reused_texts": 0}
        assert read_reference(taken[name]) == Reference(**metadata, figures=figures.get(step, {}))


def test_a_place_that_is_gone_is_named(tmp_path, places, capsys):
    (places["embed_pairs"] / "done.json").unlink()
    with pytest.raises(SystemExit):
        run_take(tmp_path, {step: str(place) for step, place in places.items()})
    told = capsys.readouterr().out
    assert f"{places['embed_pairs']} of version 1 of the data set emoji is gone" in told
    assert "dataset.version=NUMBER" in told
