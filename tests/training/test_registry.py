"""The registry: who becomes champion, and what MLflow serves to somebody who has nothing of ours."""

import mlflow
import pandas as pd
import pytest
from toy_training import noise, png

from training import registry

MARGIN = 0.01
OLD = {"zh": 0.5, "en": 0.6}


@pytest.mark.parametrize(
    ("new", "promote", "reason"),
    [
        ({"zh": 0.6, "en": 0.7}, True, "mean top-1 0.650 is better than the champion's 0.550"),
        ({"zh": 0.495, "en": 0.705}, True, "mean top-1 0.600 is better"),
        ({"zh": 0.48, "en": 0.9}, False, "zh top-1 0.480 is worse than 0.500"),
        ({"zh": 0.9, "en": 0.58}, False, "en top-1 0.580 is worse than 0.600"),
        ({"zh": 0.495, "en": 0.6}, False, "mean top-1 0.547 is no better than the champion's 0.550"),
        (OLD, False, "mean top-1 0.550 is no better than the champion's 0.550"),
    ],
    ids=["better", "worse within the margin", "zh worse", "en worse", "worse on average", "tie"],
)
def test_a_champion_is_replaced_by_a_better_one_only(new, promote, reason):
    decision = registry.decide(new, OLD, MARGIN)
    assert decision.promote is promote
    assert decision.reason.startswith(reason)


def test_the_first_version_is_champion_however_bad():
    assert registry.decide({"zh": 0.0, "en": 0.0}, None, MARGIN) == registry.Decision(
        True, "the first version"
    )


@pytest.fixture(scope="module")
def registered(student_folder, tmp_path_factory) -> list[dict]:
    """What registering two students did, the second one worse in Chinese."""
    place = tmp_path_factory.mktemp("registry")
    (place / "results.json").write_text("{}")
    registry.connect(f"sqlite:///{place}/mlflow.db", f"file://{place}/artifacts", "dcclip")
    files, facts = [place / "results.json"], {"student": "0123456789ab", "exam": "colours"}
    return [
        registry.register("dcclip", student_folder, files, accuracy, facts, MARGIN)
        for accuracy in (OLD, {"zh": 0.3, "en": 0.9})
    ]


@pytest.fixture(scope="module")
def client(registered) -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def test_versions_get_their_aliases(registered, client):
    assert [(done["version"], done["alias"]) for done in registered] == [(1, "champion"), (2, "challenger")]
    for done in registered:
        assert client.get_model_version_by_alias("dcclip", done["alias"]).version == done["version"]
    assert registry.champion_accuracy(client, "dcclip") == OLD


def test_versions_say_why_in_their_tags(client):
    first, second = (client.get_model_version("dcclip", str(number)).tags for number in (1, 2))
    facts = {"student": "0123456789ab", "exam": "colours"}
    assert first == {"top1_zh": "0.5", "top1_en": "0.6", "decision": "the first version", **facts}
    assert second["decision"] == "zh top-1 0.300 is worse than 0.500"


def test_each_version_has_a_run_with_figures_and_files(client):
    run = client.get_run(client.get_model_version("dcclip", "2").run_id)
    assert run.data.metrics == {"top1_zh": 0.3, "top1_en": 0.9}
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["results.json"]


def test_a_model_nobody_registered_has_no_champion(client):
    assert registry.champion_accuracy(client, "somebody") is None


@pytest.fixture(scope="module")
def champion(registered):
    return mlflow.pyfunc.load_model("models:/dcclip@champion")


def test_the_champion_reads_bytes_and_paths_and_labels_of_either_language(champion, tmp_path):
    noise(0).save(tmp_path / "picture.png")
    labels = [["red", "green", "blue"], ["红", "绿", "蓝色的图片"]]
    frame = pd.DataFrame({"image": [png(noise(0)), str(tmp_path / "picture.png")], "labels": labels})
    found = champion.predict(frame)
    assert list(found.columns) == ["label", "scores"]
    for row, choices in zip(found.itertuples(), labels, strict=True):
        assert sum(row.scores) == pytest.approx(1, abs=1e-5)
        assert row.label == choices[row.scores.index(max(row.scores))]


def test_a_picture_is_the_same_as_bytes_and_as_a_path(champion, tmp_path):
    noise(1).save(tmp_path / "picture.png")
    images = [png(noise(1)), str(tmp_path / "picture.png")]
    found = champion.predict(pd.DataFrame({"image": images, "labels": [["red", "红"]] * 2}))
    assert found["scores"][0] == found["scores"][1]


def test_a_long_label_is_cut(champion):
    frame = pd.DataFrame({"image": [png(noise(0))], "labels": [["a red picture " * 9, "blue"]]})
    assert len(champion.predict(frame)["scores"][0]) == 2
