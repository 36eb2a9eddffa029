"""A student that goes on from the registry's champion: its weights, its tokenizer, and nothing that runs."""

from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from toy_training import TEXTS, TINY, TINY_VIT, WIDTH, tiny_student

from components.distill_student import DistillStudent, _fetch_champion, _keep_tokenizer, distill
from components.step import StepError
from infra.store import write_json
from training import registry
from training.settings import Phase
from training.student import difference, load_student

CHAMPION = "models:/dcclip/1"
# A step at rate 0 moves no weight.
STILL = Phase("text tower", ("text",), "texts", {"text_feature": 1.0}, 1, 4, 0.0, weight_decay=0.0)
CONFIG = DistillStudent(TINY, (STILL,), num_workers=1, start="champion", champion=CHAMPION)


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> dict[str, str]:
    """Addresses, with a registry whose only version is a tiny student."""
    place = tmp_path_factory.mktemp("registry")
    tiny_student(seed=5).save(place / "student")
    uri = f"sqlite:///{place}/mlflow.db"
    registry.connect(uri, f"file://{place}/artifacts", "dcclip")
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="student",
            python_model=str(registry.SERVED_MODEL),
            artifacts={"student": str(place / "student")},
            pip_requirements=["mlflow"],
            registered_model_name="dcclip",
        )
    return {"mlflow_uri": uri, "mlflow_artifacts": "", "ray_address": ""}


def weights_of(folder: Path) -> dict:
    return dict(load_student(folder).model.named_parameters())


def test_the_champion_is_fetched_without_code(engines, tmp_path):
    folder = _fetch_champion(CONFIG, tmp_path, engines["mlflow_uri"], WIDTH)
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors"}
    wanted = dict(tiny_student(seed=5).model.named_parameters())
    assert all(weight.equal(wanted[name]) for name, weight in weights_of(folder).items())
    assert not list(tmp_path.glob(".*"))


def test_what_is_fetched_is_not_fetched_again(engines, tmp_path):
    folder = _fetch_champion(CONFIG, tmp_path, engines["mlflow_uri"], WIDTH)
    assert _fetch_champion(CONFIG, tmp_path, "http://127.0.0.1:9", WIDTH) == folder


@pytest.mark.parametrize(
    "shape, width, message",
    [
        (replace(TINY, image_size=64), WIDTH, "its images are 32 pixels wide, not 64"),
        (TINY_VIT, WIDTH, "it is of the family align, not chinese_clip"),
        (replace(TINY, text={**TINY.text, "hidden_size": 64}), WIDTH, r"is \(.*\), not \("),
        (TINY, 24, r"is \(.*\), not \("),
        (replace(TINY, max_tokens=99), WIDTH, r"position_embeddings.weight is \(16, 32\), not \(99, 32\)"),
    ],
)
def test_another_student_than_the_recipes_is_refused(engines, tmp_path, shape, width, message):
    config = replace(CONFIG, student=shape)
    with pytest.raises(
        StepError, match=f"{CHAMPION} is not the recipe's student: .*{message}.*start=scratch"
    ):
        _fetch_champion(config, tmp_path, engines["mlflow_uri"], width)


def test_a_student_is_alike_whatever_its_vocabulary():
    assert difference(tiny_student(), replace(TINY, vocab_size=5), WIDTH) == ""


def test_a_version_that_is_not_there_is_named(engines, tmp_path):
    config = replace(CONFIG, champion="models:/dcclip/9")
    with pytest.raises(StepError, match=r"the registry sqlite.* does not do what is asked: .*start=scratch"):
        _fetch_champion(config, tmp_path, engines["mlflow_uri"], WIDTH)


def test_facts_say_whether_the_vocabulary_still_fits(tmp_path):
    tiny_student().save(tmp_path)
    facts = _keep_tokenizer([*TEXTS, "龘"], tmp_path)
    assert (facts["texts"], facts["learned_from"]) == (len(TEXTS) + 1, 0)
    assert 0 < facts["unknown_share"] < 0.1


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="a student starts from scratch or champion, not from 'latest'"):
        replace(CONFIG, start="latest")


@pytest.fixture
def embedded(corpus, tmp_path) -> Path:
    """The corpus as embed_pairs leaves it, with what it says of itself."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    for part in corpus.embedded.iterdir():
        (folder / part.name).symlink_to(part)
    write_json(folder / "embedded.json", {"width": WIDTH})
    return folder


@pytest.mark.parametrize("champion", [CHAMPION, ""], ids=["champion", "none yet"])
def test_training_goes_on_from_the_champion_or_begins_anew(
    engines, corpus, embedded, tmp_path, capfd, champion
):
    config = replace(CONFIG, champion=champion)
    facts = distill(config, tmp_path, engines, embedded, corpus.selection)
    assert facts["start"] == (champion or "scratch")
    before = dict(tiny_student(seed=5).model.named_parameters())
    same = [name for name, weight in weights_of(tmp_path / "student").items() if weight.equal(before[name])]
    assert (len(same) == len(before)) is bool(champion)
    assert ("there is no champion yet" in capfd.readouterr().out) is not bool(champion)
