"""What a run begins from: decided once, told to the steps as values, found again whatever comes after."""

from pathlib import Path
from typing import Any

import pytest

from components.prepare_teacher import PrepareTeacher, prepare
from components.reference import read_reference
from components.step import StepError, run_step
from infra import object_store
from infra.places import local_copy, read_record
from infra.store import plain, write_json
from infra.versions import Version, Versions
from pipelines import growth
from pipelines.demo import EXAM
from pipelines.resolve import DATA_STEPS, STEPS, choose_recipe, engine_addresses
from tests.artifacts import new_artifact, reference_to

FILES = ("pairs.zh.csv", "pairs.en.csv", "texts.zh.txt", "texts.en.txt", f"{EXAM}/classnames.txt")
GROW = {"dataset.grow": True}


@pytest.fixture
def root(tmp_path) -> Path:
    """A storage root with all files that the demo recipe names."""
    for name in FILES:
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_text(name)
    return tmp_path


def lists_change(root: Path, text: str) -> None:
    (root / "corpus" / "pairs.zh.csv").write_text(text)


def configs_of(root: Path, overrides: dict[str, Any] | None = None, pipeline: str = "dcclip-full") -> dict:
    engines = engine_addresses(str(root), "local[2]", "", "")
    return growth.resolve_run(choose_recipe("demo", overrides or {}), str(root), engines, pipeline)


def publish(root: Path, configs: dict, number: int, places: dict[str, str] | None = None) -> None:
    """What the data steps of a run leave, without the work, at places of that number or those given."""
    places = places or {step: f"{step}/{number}" for step in DATA_STEPS}
    for step, place in places.items():
        folder = root / "store" / place
        folder.mkdir(parents=True)
        write_json(folder / "done.json", {"step": step, "values": plain(configs[step]["values"])})
    assert Versions(str(root), "demo").publish(places, 0, {}).number == number


def known_in(configs: dict) -> dict[str, int]:
    """By step, the version that it is told of."""
    values = {step: configs[step]["values"] for step in STEPS if configs[step]}
    return {step: value["known"]["version"] for step, value in values.items() if "known" in value}


ALL_KNOW = {"download_pairs": 1, "prepare_teacher": 1, "embed_pairs": 1}


@pytest.fixture
def grown(root) -> Path:
    """A root with one version, whose lists have changed since."""
    publish(root, configs_of(root, GROW), 1)
    lists_change(root, "more")
    return root


def test_a_first_run_begins_from_nothing_whether_it_may_grow_or_not(root):
    first, growing = configs_of(root), configs_of(root, GROW)
    assert first == growing
    assert known_in(first) == {} and first["dataset"]["base"] == 0


def test_a_later_run_grows_from_the_latest_version(grown):
    configs = configs_of(grown, GROW)
    assert known_in(configs) == ALL_KNOW
    assert configs["dataset"]["base"] == 1
    known = configs["download_pairs"]["values"]["known"]
    place = str(grown / "store" / "download_pairs" / "1")
    assert known == {"version": 1, "place": place, "retry_after_days": 7.0, "retry_all": False}


def test_without_grow_a_later_run_begins_from_nothing(grown):
    assert known_in(configs_of(grown)) == {}


def test_the_same_lists_are_found_as_they_were_made(root):
    """Else a rerun would grow from its own result."""
    before = configs_of(root, GROW)
    publish(root, before, 1)
    assert configs_of(root, GROW) == before


def test_what_was_published_meanwhile_changes_nothing_for_a_rerun(grown):
    before = configs_of(grown, GROW)
    lists_change(grown, "other lists")
    publish(grown, configs_of(grown, GROW), 2)
    lists_change(grown, "more")
    assert configs_of(grown, GROW) == before


def test_a_value_of_a_later_step_leaves_the_version_before(grown):
    configs_of(grown, GROW)
    publish(grown, configs_of(grown, GROW), 2)
    assert known_in(configs_of(grown, {**GROW, "embed_pairs.seed": 1})) == ALL_KNOW


def test_growing_finds_what_was_made_without(root):
    before = configs_of(root)
    publish(root, before, 1)
    assert configs_of(root, GROW) == before


@pytest.mark.parametrize("value", [{"image_size": 64}, {"encode_format": "jpg"}, {"encode_quality": 9}])
def test_pictures_of_another_kind_are_all_fetched_again(grown, value):
    overrides = {f"download_pairs.{name}": setting for name, setting in value.items()}
    configs = configs_of(grown, {**GROW, **overrides})
    assert known_in(configs) == {} and configs["dataset"]["base"] == 0


def test_with_other_limits_all_failures_are_tried_again(grown):
    values = configs_of(grown, {**GROW, "download_pairs.max_bytes": 5})["download_pairs"]["values"]
    assert values["known"]["retry_all"] is True


@pytest.mark.parametrize("overrides", [{"dataset.keep_teacher": False}, {"prepare_teacher.lit.epochs": 1}])
def test_a_teacher_stays_only_when_it_may_and_is_the_same(grown, overrides):
    known = {step: number for step, number in ALL_KNOW.items() if step != "prepare_teacher"}
    assert known_in(configs_of(grown, {**GROW, **overrides})) == known


def test_a_teacher_that_stayed_stays_again(grown):
    publish(grown, configs_of(grown, GROW), 2)
    lists_change(grown, "still more")
    assert known_in(configs_of(grown, GROW)) == dict.fromkeys(ALL_KNOW, 2)


def test_a_version_whose_files_are_gone_is_named_with_a_way_on(grown):
    (grown / "store" / "embed_pairs" / "1" / "done.json").unlink()
    with pytest.raises(StepError, match=r"embed_pairs/1 of version 1 is gone.*dataset\.name=NAME"):
        configs_of(grown, GROW)


def test_a_half_has_the_configs_of_its_steps(grown):
    data = configs_of(grown, pipeline="dcclip-data")
    assert [step for step in STEPS if data[step]] == list(DATA_STEPS)
    train = configs_of(grown, pipeline="dcclip-train")
    assert [step for step in STEPS if train[step]] == list(STEPS[5:])
    assert list(data) == list(train) == [*STEPS, "dataset"]


def test_training_takes_the_latest_version_or_the_one_that_is_named(grown):
    publish(grown, configs_of(grown), 2)
    for overrides, number in (({}, 2), ({"dataset.version": 1}, 1)):
        dataset = configs_of(grown, overrides, "dcclip-train")["dataset"]
        assert dataset["version"] == number
        assert dataset["places"]["embed_pairs"] == str(grown / "store" / "embed_pairs" / str(number))


def test_training_needs_no_lists(grown):
    for file in (grown / "corpus").glob("*.*"):
        file.unlink()
    assert configs_of(grown, pipeline="dcclip-train")["dataset"]["version"] == 1


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"dataset.version": 7}, r"has no version 7 \(there is 1\); dcclip-data makes one"),
        ({"dataset.name": "other"}, r"the data set other has no version \(there is none\)"),
    ],
)
def test_a_version_that_is_not_there_is_named_with_those_that_are(grown, overrides, message):
    with pytest.raises(StepError, match=message):
        configs_of(grown, overrides, "dcclip-train")


@pytest.mark.parametrize("name", ["", "../up", "Up", "a b", "a" * 65])
def test_a_data_set_has_a_plain_name(name):
    with pytest.raises(StepError, match="a data set's name is of a-z"):
        choose_recipe("demo", {"dataset.name": name})


FROM_CHAMPION = {"distill_student.start": "champion"}


@pytest.fixture
def champion(monkeypatch) -> list[int]:
    """The champion's number, in a list of one, to be changed."""
    numbers = [0]
    monkeypatch.setattr(growth, "champion_number", lambda uri, model: numbers[0])
    return numbers


def start_of(root: Path, overrides: dict | None = None, pipeline: str = "dcclip-full") -> str | None:
    configs = configs_of(root, {**FROM_CHAMPION, **(overrides or {})}, pipeline)
    return configs["distill_student"]["values"]["champion"]


def test_while_there_is_no_champion_none_is_named(root, champion):
    assert start_of(root) == ""


def test_the_champion_of_the_first_run_stays_the_start_of_its_reruns(root, champion):
    champion[0] = 3
    assert start_of(root) == "models:/dcclip/3"
    champion[0] = 4
    assert start_of(root) == "models:/dcclip/3"
    assert start_of(root, {"distill_student.seed": 1}) == "models:/dcclip/4"
    lists_change(root, "more")
    assert start_of(root) == "models:/dcclip/4"


def test_training_alone_names_the_champion_too(grown, champion):
    champion[0] = 2
    assert start_of(grown, pipeline="dcclip-train") == "models:/dcclip/2"


def test_a_half_begins_from_the_champion_that_the_whole_began_from(root, champion):
    champion[0] = 2
    assert start_of(root) == "models:/dcclip/2"
    configs = configs_of(root)
    publish(root, configs, 1, growth.data_places(configs))
    champion[0] = 3
    assert start_of(root, pipeline="dcclip-train") == "models:/dcclip/2"


def test_a_start_from_scratch_asks_no_registry(root, monkeypatch):
    monkeypatch.setattr(growth, "champion_number", None)
    assert configs_of(root)["distill_student"]["values"]["champion"] == ""


def test_the_champions_number_comes_from_the_registry(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert growth.champion_number(uri, "dcclip") == 0


def test_a_registry_that_does_not_answer_is_named(monkeypatch):
    for name in ("TIMEOUT", "MAX_RETRIES"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "1")
    with pytest.raises(StepError, match="the registry http://127.0.0.1:9 does not do what is asked"):
        growth.champion_number("http://127.0.0.1:9", "dcclip")


def test_what_is_taken_over_may_be_in_object_storage(bucket, s3, tmp_path):
    config = {"root": f"{bucket}/store", "engines": {"s3_endpoint": s3}}
    place = f"{bucket}/store/prepare_teacher/1"
    (tmp_path / "teacher.json").write_text("a teacher")
    object_store.upload({"attempt/teacher.json": tmp_path / "teacher.json"}, place, s3, "tests")
    record = {"attempt": "attempt", "values": {"source": "hf:gone"}, "facts": {}}
    assert object_store.write_new_json(f"{place}/done.json", record, s3)

    version = Version(1, {"prepare_teacher": "prepare_teacher/1"}, 0, {}, "")
    known = growth.known_of(version, "prepare_teacher", config)["known"]
    assert known == {"version": 1, "place": f"{place}/attempt"}
    values = {"source": "hf:gone", "known": known}
    inputs = {name: reference_to(place, tmp_path) for name in ("raw", "pairs")}
    output = new_artifact(tmp_path)
    run_step(
        "prepare_teacher", prepare, PrepareTeacher, config | {"values": values, "code": ""}, inputs, output
    )
    address = read_reference(output).address
    with local_copy(address, s3, "tests") as folder:
        assert (folder / "teacher.json").read_text() == "a teacher"
    assert read_record(address, s3)["facts"]["kept_from_version"] == 1
