"""A data set's version published by the last data step, and taken by the first training step."""

from pathlib import Path

import pytest
from kfp import dsl

from components.publish_data import publish_data
from components.take_data import take_data
from infra.store import write_json
from infra.versions import Versions

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
    """The version's metadata, as KFP would keep it."""
    config = {"name": "emoji", "root": str(root), "base": 1.0, "engines": {"s3_endpoint": ""}}
    inputs = {ARTIFACTS[step]: dsl.Dataset(uri=str(place)) for step, place in places.items()}
    version = dsl.Dataset()
    publish_data.python_func(config=config, **inputs, version=version)
    return version.metadata


def run_take(places: dict[str, str]) -> dict[str, dsl.Dataset]:
    config = {"name": "emoji", "version": 1.0, "places": places, "engines": {"s3_endpoint": ""}}
    outputs = {name: dsl.Dataset() for name in ARTIFACTS.values()}
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


def test_the_places_are_taken_with_what_the_steps_recorded(places):
    taken = run_take({step: str(place) for step, place in places.items()})
    for step, name in ARTIFACTS.items():
        assert taken[name].uri == str(places[step])
        assert taken[name].metadata == {**record(step), "reused": True}


def test_a_place_that_is_gone_is_named(places, capsys):
    (places["embed_pairs"] / "done.json").unlink()
    with pytest.raises(SystemExit):
        run_take({step: str(place) for step, place in places.items()})
    told = capsys.readouterr().out
    assert f"{places['embed_pairs']} of version 1 of the data set emoji is gone" in told
    assert "dataset.version=NUMBER" in told
