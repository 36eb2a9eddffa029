"""The registry: a version is written once however often tried, and loads without code of ours."""

import base64
import io

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image
from toy_training import noise, png

from training import gate, registry, zero_shot
from training.student import load_student

MARGIN = 0.01
LANGUAGES = ("zh", "en")


def answers(zh: float, en: float) -> gate.Hits:
    """1,000 pictures, the first of them right."""
    return {lang: np.arange(1_000) < 1_000 * share for lang, share in (("zh", zh), ("en", en))}


@pytest.fixture(scope="module")
def make_candidate(student_folder, exam_folder, tmp_path_factory):
    """Makes a candidate of the toy student with these answers."""
    file = tmp_path_factory.mktemp("files") / "results.json"
    file.write_text("{}")

    def make(name: str, zh: float, en: float, exam: str = "colours", model: str = "dcclip"):
        return registry.Candidate(
            model=model,
            identity=name,
            student=student_folder,
            files=(file,),
            hits=answers(zh, en),
            exam=exam_folder,
            exam_content=exam,
            tags={"student": "0123456789ab", "top1_zh": f"{zh:.4f}", "top1_en": f"{en:.4f}"},
            figures={"top1_zh": zh, "top1_en": en},
        )

    return make


@pytest.fixture(scope="module")
def registered(make_candidate, tmp_path_factory) -> list[dict]:
    """What registering two students did, the second one worse in Chinese."""
    place = tmp_path_factory.mktemp("registry")
    registry.connect(f"sqlite:///{place}/mlflow.db", f"file://{place}/artifacts", "dcclip")
    candidates = make_candidate("first", 0.5, 0.6), make_candidate("second", 0.3, 0.9)
    return [registry.register(candidate, MARGIN) for candidate in candidates]


@pytest.fixture(scope="module")
def client(registered) -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def test_versions_get_their_aliases(registered, client):
    assert [(done["version"], done["alias"]) for done in registered] == [(1, "champion"), (2, "challenger")]
    for done in registered:
        assert client.get_model_version_by_alias("dcclip", done["alias"]).version == done["version"]


def test_versions_say_why_in_their_tags(client):
    first, second = (client.get_model_version("dcclip", str(number)).tags for number in (1, 2))
    assert (first["decision"], first["promoted_by"]) == ("the first version", "the gate")
    assert (first["identity"], first["exam_content"], first["top1_en"]) == ("first", "colours", "0.6000")
    assert second["decision"].startswith("zh top-1 may be worse by more than 1 points: -20.0 points")
    assert second["gain_en"].startswith("+30.0 points (95% interval +2")


def test_each_version_has_a_run_with_figures_and_files(client):
    run = client.get_run(client.get_model_version("dcclip", "2").run_id)
    assert run.data.metrics == {"top1_zh": 0.3, "top1_en": 0.9}
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert names == {"results.json", "hits.json"}


def test_registering_again_makes_no_second_version(registered, make_candidate, client):
    again = [
        registry.register(make_candidate(*old), MARGIN) for old in (("first", 0.5, 0.6), ("second", 0.3, 0.9))
    ]
    assert [(done["version"], done["alias"]) for done in again] == [(1, "champion"), (2, "challenger")]
    assert len(client.search_model_versions("name='dcclip'")) == 2


def test_a_try_that_was_cut_off_is_continued(registered, make_candidate, client, monkeypatch):
    candidate = make_candidate("third", 0.5, 0.6, model="continued")

    def unreachable(*args, **kwargs):
        raise MlflowException("the registry went away")

    for name in ("mlflow.register_model", "training.registry.settle"):
        with monkeypatch.context() as patch:
            patch.setattr(name, unreachable)
            with pytest.raises(MlflowException):
                registry.register(candidate, MARGIN)
    done = registry.register(candidate, MARGIN)
    assert (done["version"], done["alias"]) == (1, "champion")
    runs = mlflow.search_runs(filter_string="tags.identity='third'", output_format="list")
    assert len(runs) == len(client.search_model_versions("name='continued'")) == 1


def test_a_registry_that_does_all_twice_has_one_version_that_counts(
    registered, make_candidate, client, monkeypatch
):
    once = mlflow.register_model

    def twice(*args, **kwargs):
        once(*args, **kwargs)
        return once(*args, **kwargs)

    monkeypatch.setattr("mlflow.register_model", twice)
    done = registry.register(make_candidate("fourth", 0.5, 0.6, model="twice"), MARGIN)
    assert done["version"] == 1
    assert client.get_model_version("twice", "2").tags["duplicate_of"] == "1"


def test_a_champion_of_another_exam_sits_this_one(
    registered, make_candidate, client, student_folder, exam_folder
):
    champion = client.get_model_version("dcclip", "1")
    same = registry.hits_of(client, champion, make_candidate("any", 0, 0))
    assert same["zh"].mean() == 0.5
    other = registry.hits_of(client, champion, make_candidate("any", 0, 0, exam="another"))
    exam = zero_shot.read_exam(exam_folder)
    scores = zero_shot.similarities(zero_shot.StudentEncoder(load_student(student_folder)), exam)
    assert {lang: row.mean() for lang, row in other.items()} == {
        lang: zero_shot.top_k_accuracy(scores[lang], exam.labels, 1) for lang in LANGUAGES
    }


@pytest.fixture(scope="module")
def champion(registered):
    return mlflow.pyfunc.load_model("models:/dcclip@champion")


def test_the_champion_reads_bytes_and_paths_and_labels_of_either_language(champion, tmp_path):
    noise(0).save(tmp_path / "picture.png")
    labels = [["red", "green", "blue"], ["红", "绿", "蓝色的图片"]]
    frame = pd.DataFrame({"image": [png(noise(0)), str(tmp_path / "picture.png")], "labels": labels})
    found = champion.predict(frame)
    assert list(found.columns) == ["label", "scores", "error"]
    assert found["error"].isna().all()
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


def asked(champion, images: list, labels: list) -> pd.DataFrame:
    return champion.predict(pd.DataFrame({"image": images, "labels": labels}))


def test_a_pil_image_and_a_data_url_are_pictures_too(champion):
    url = "data:image/png;base64," + base64.b64encode(png(noise(2))).decode()
    found = asked(champion, [noise(2), url, png(noise(2))], [["red", "红"]] * 3)
    assert found["error"].isna().all()
    assert found["scores"][0] == found["scores"][1] == found["scores"][2]


@pytest.mark.parametrize(
    "image, labels, error",
    [
        (b"no picture", ["red"], "cannot read the picture"),
        (png(noise(0))[:900], ["red"], "cannot read the picture"),
        ("nowhere.png", ["red"], "No such file"),
        ("https://example.org/picture.png", ["red"], "URLs are not opened here"),
        ("file:///etc/hostname", ["red"], "URLs are not opened here"),
        ("data:image/png;base64,%%%", ["red"], "not base64"),
        (7, ["red"], "not int"),
        (noise(0), [], "no labels"),
        (noise(0), ["red", "red"], "twice"),
        (noise(0), ["red", " "], "not empty"),
        (noise(0), ["red"] * 20_001, "20001 labels are too many"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_row_has_an_error_and_the_others_have_answers(champion, image, labels, error):
    found = asked(champion, [noise(0), image, noise(1)], [["red", "蓝"], labels, ["red", "蓝"]])
    assert error in found["error"][1]
    assert (found["label"][1], found["scores"][1]) == (None, [])
    assert found["error"][[0, 2]].isna().all()
    assert {found["label"][0], found["label"][2]} <= {"red", "蓝"}


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_the_smallest_pictures_are_pictures(champion, size):
    small, large = (Image.new("RGB", sides, (200, 30, 40)) for sides in (size, (50, 50)))
    found = asked(champion, [small, large], [["red", "green", "蓝"]] * 2)
    assert found["error"].isna().all()
    assert found["scores"][0] == pytest.approx(found["scores"][1], abs=1e-4)


def test_a_hundred_megapixels_are_refused_before_they_are_decoded(champion):
    stream = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(stream, "PNG")
    found = asked(champion, [stream.getvalue()], [["red"]])
    assert found["error"][0] == "10000 x 10000 pixels are too many, at most 64,000,000 are decoded"


def test_ten_thousand_labels_of_both_languages_are_answered(champion):
    labels = [f"a red picture {number}" if number % 2 else f"红色的图片 {number}" for number in range(10_000)]
    found = asked(champion, [noise(0), noise(1)], [labels, labels[:300]])
    assert [len(scores) for scores in found["scores"]] == [10_000, 300]
    assert sum(found["scores"][0]) == pytest.approx(1)
    # Probabilities among fewer labels, but in the same proportion.
    few = asked(champion, [noise(0)], [labels[:300]])["scores"][0]
    share = np.array(found["scores"][0][:300])
    assert np.array(few) == pytest.approx(share / share.sum(), rel=1e-3)


def test_the_input_example_is_answered(client, champion):
    example = champion.input_example
    assert list(example.columns) == ["image", "labels"]
    found = champion.predict(example)
    assert found["error"][0] is None
    assert found["label"][0] in example["labels"][0]
    assert [column.name for column in champion.metadata.signature.outputs] == list(found.columns)


def test_a_comparison_is_told_again_by_a_later_try(registered, make_candidate):
    first, second = registered
    assert first["comparison"] == {}
    assert second["comparison"]["version"] == 1
    chinese = second["comparison"]["differences"]["zh"]
    assert chinese["value"] == pytest.approx(-0.2)
    assert chinese["low"] < chinese["value"] < chinese["high"]
    assert registry.register(make_candidate("second", 0.3, 0.9), MARGIN)["comparison"] == second["comparison"]


def test_a_file_is_kept_with_a_versions_run_and_replaced(registered, client, tmp_path):
    run = client.get_model_version("dcclip", "1").run_id
    for text in ("first", "second"):
        (tmp_path / "report.html").write_text(text)
        registry.attach("dcclip", 1, tmp_path / "report.html")
        assert mlflow.artifacts.load_text(f"runs:/{run}/report.html") == text
